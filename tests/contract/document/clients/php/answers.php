<?php

/** What the tour does not show: nothing of an answer is lost or altered, truth values in a query, an export as a job. */

declare(strict_types=1);

use GuzzleHttp\Client;
use GuzzleHttp\HandlerStack;
use GuzzleHttp\Middleware;
use Psr\Http\Message\ResponseInterface;
use Simpul\Api\AccessApi;
use Simpul\Api\AuditApi;
use Simpul\Api\CatalogueApi;
use Simpul\Api\JobsApi;
use Simpul\Api\RecordsApi;
use Simpul\Configuration;
use Simpul\Model\ModelInterface;
use Simpul\ObjectSerializer;

require __DIR__ . '/autoload.php';

set_error_handler(static function (int $level, string $said, string $file, int $line): never {
    throw new ErrorException($said, 0, $level, $file, $line);
});

// Truth values in a query are 1 and 0 otherwise; of all configurations only the default one is asked.
Configuration::getDefaultConfiguration()->setBooleanFormatForQueryString(Configuration::BOOLEAN_FORMAT_STRING);

/** A client that keeps the text of its last answer. */
final class Listener
{
    public readonly Client $client;
    public string $heard = '';

    public function __construct()
    {
        $stack = HandlerStack::create();
        $stack->push(Middleware::mapResponse(function (ResponseInterface $answer): ResponseInterface {
            $this->heard = (string) $answer->getBody();
            $answer->getBody()->rewind();
            return $answer;
        }));
        $this->client = new Client(['handler' => $stack]);
    }
}

function signedIn(string $name): Configuration
{
    $anonymous = (new Configuration())->setHost((string) getenv('SIMPUL_URL'));
    $secret = (string) getenv("SIMPUL_{$name}_SECRET");
    $token = (new AccessApi(null, $anonymous))->issueToken('client_credentials', client_id: (string) getenv("SIMPUL_$name"), client_secret: $secret);
    return (new Configuration())->setHost((string) getenv('SIMPUL_URL'))->setAccessToken($token->getAccessToken());
}

/** Members in order and without nulls (a client cannot tell null from absent), numbers without their kind. */
function plain(mixed $value): mixed
{
    if (is_object($value)) {
        $value = (array) $value;
        ksort($value);
        $value = array_filter($value, static fn (mixed $member): bool => $member !== null);
    }
    return is_array($value) ? array_map(plain(...), $value) : (is_int($value) ? (float) $value : $value);
}

/** Each model of an answer holds to its own rules. */
function check(mixed $value): void
{
    if ($value instanceof ModelInterface) {
        if (!$value->valid()) {
            throw new UnexpectedValueException(implode("\n", $value->listInvalidProperties()));
        }
        $value = array_map(static fn (string $getter): mixed => $value->$getter(), $value::getters());
    }
    if (is_array($value)) {
        array_walk($value, check(...));
    }
}

/** Has the call made, and compares what the client would send of its answer with what the gateway sent. */
function kept(string $name, Listener $listener, Closure $call): mixed
{
    $answer = $call();
    check($answer);
    $sent = json_encode(ObjectSerializer::sanitizeForSerialization($answer), JSON_THROW_ON_ERROR);
    $one = plain(json_decode($listener->heard, false, 512, JSON_THROW_ON_ERROR));
    $other = plain(json_decode($sent, false, 512, JSON_THROW_ON_ERROR));
    if ($one !== $other) {
        throw new UnexpectedValueException("$name:\n$listener->heard\n$sent");
    }
    echo json_encode([$name, strlen($listener->heard)], JSON_THROW_ON_ERROR), "\n";
    return $answer;
}

/** Every list of the interface that asks for no argument; an auditor sees no incidents. */
function lists(Listener $listener, string $interface, Configuration $configuration): void
{
    $api = new $interface($listener->client, $configuration);
    foreach ((new ReflectionClass($interface))->getMethods(ReflectionMethod::IS_PUBLIC) as $method) {
        $list = preg_match('/^list(?!Incidents$)(?!.*(Async|HttpInfo|Request)$)/', $method->name) === 1;
        if ($list && $method->getNumberOfRequiredParameters() === 0) {
            kept($method->name, $listener, static fn (): mixed => $method->invoke($api));
        }
    }
}

function export(JobsApi $jobs, RecordsApi $records, Listener $listener): string
{
    $job = kept('export', $listener, static fn (): mixed => $records->listFasilitasKesehatan(
        sort: 'kode_faskes',
        rawat_inap: false,
        f: 'csv',
        prefer: 'respond-async',
    ));
    for ($ends = time() + 60; in_array($job->getState(), ['queued', 'running'], true) && time() < $ends; usleep(100_000)) {
        $job = $jobs->getJob($job->getId());
    }
    kept('job', $listener, static fn (): mixed => $jobs->getJob($job->getId()));
    // A file is no model: the client builds the request, and its body is read as it is.
    return (string) $listener->client->send($jobs->getJobResultRequest($job->getId()))->getBody();
}

function main(): void
{
    $listener = new Listener();
    $portal = signedIn('CLIENT');
    $records = new RecordsApi($listener->client, $portal);
    lists($listener, RecordsApi::class, $portal);
    lists($listener, CatalogueApi::class, $portal);
    $auditor = signedIn('AUDITOR');
    lists($listener, AuditApi::class, $auditor);
    [, , $headers] = $records->listFasilitasKesehatanWithHttpInfo(limit: 1);
    $exchange = array_change_key_case($headers)['exchange-id'][0];
    kept('exchange', $listener, static fn (): mixed => (new AuditApi($listener->client, $auditor))->getExchange($exchange));
    kept('merged', $listener, static fn (): mixed => $records->listFasilitasKesehatan(view: 'merged'));
    $day = $records->listHargaKomoditas(limit: 1)->getItems()[0]->getTanggal();
    $found = kept('one day', $listener, static fn (): mixed => $records->listHargaKomoditas(tanggal: $day));
    if ($found->getItems() === []) {
        throw new UnexpectedValueException("nothing of $day");
    }
    echo json_encode(['csv', export(new JobsApi($listener->client, $portal), $records, $listener)], JSON_THROW_ON_ERROR), "\n";
}

main();
