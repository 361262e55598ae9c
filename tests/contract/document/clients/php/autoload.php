<?php

declare(strict_types=1);

// Finds the classes of the client (under the folder in SIMPUL_PHP_CLIENT) and those of Debian's packages for Guzzle.

require 'GuzzleHttp/autoload.php';

spl_autoload_register(static function (string $class): void {
    if (str_starts_with($class, 'Simpul\\')) {
        require getenv('SIMPUL_PHP_CLIENT') . '/' . strtr(substr($class, 7), '\\', '/') . '.php';
    }
});
