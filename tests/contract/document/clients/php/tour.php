<?php

/** Calls of the tour through the client that openapi-generator makes for PHP: one JSON line a call. */

declare(strict_types=1);

use GuzzleHttp\Client;
use Simpul\Api\AccessApi;
use Simpul\Api\AuditApi;
use Simpul\Api\CatalogueApi;
use Simpul\Api\QueriesApi;
use Simpul\Api\RecordsApi;
use Simpul\ApiException;
use Simpul\Configuration;
use Simpul\Model\AggregateBody;
use Simpul\Model\ExchangeAnswer;
use Simpul\Model\ExplainBody;
use Simpul\Model\ExplainedSource;
use Simpul\Model\Explanation;
use Simpul\Model\FasilitasKesehatan;
use Simpul\Model\FasilitasKesehatanPage;
use Simpul\Model\GroupsAnswer;
use Simpul\Model\Measure;
use Simpul\Model\ModelInterface;
use Simpul\Model\Problem;
use Simpul\Model\ProblemPlace;
use Simpul\Model\QueryAnswer;
use Simpul\Model\QueryBody;
use Simpul\Model\QueryColumn;
use Simpul\Model\SchemaItem;
use Simpul\Model\SchemasAnswer;
use Simpul\Model\SearchBody;
use Simpul\Model\SourceStatus;
use Simpul\Model\TokenAnswer;
use Simpul\Model\WholeEntry;

require __DIR__ . '/autoload.php';

set_error_handler(static function (int $level, string $said, string $file, int $line): never {
    throw new ErrorException($said, 0, $level, $file, $line);
});

function tell(string $call, mixed $got): void
{
    echo json_encode([$call, $got], JSON_THROW_ON_ERROR), "\n";
}

/**
 * @template Found of ModelInterface
 * @param class-string<Found> $kind
 * @return Found
 */
function typed(string $kind, mixed $answer): ModelInterface
{
    if (!$answer instanceof $kind) {
        throw new UnexpectedValueException("no $kind: " . get_debug_type($answer));
    }
    if (!$answer->valid()) {
        throw new UnexpectedValueException(implode("\n", $answer->listInvalidProperties()));
    }
    return $answer;
}

function signIn(string $name): TokenAnswer
{
    $access = new AccessApi(new Client(), connected(null));
    $secret = (string) getenv("SIMPUL_{$name}_SECRET");
    return typed(TokenAnswer::class, $access->issueToken('client_credentials', client_id: (string) getenv("SIMPUL_$name"), client_secret: $secret));
}

function connected(?TokenAnswer $token): Configuration
{
    return (new Configuration())->setHost((string) getenv('SIMPUL_URL'))->setAccessToken($token?->getAccessToken() ?? '');
}

/** @return list<string> */
function keys(FasilitasKesehatanPage $page): array
{
    return array_map(static fn (FasilitasKesehatan $record): string => $record->getSource()->getId(), $page->getItems());
}

/**
 * @param list<array<string, mixed>> $items
 * @return list<list<mixed>>
 */
function pairs(array $items): array
{
    return array_map(static fn (array $item): array => [$item['jenis'], $item['n']], $items);
}

/**
 * @param list<list<mixed>> $rows
 * @return list<list<mixed>>
 */
function sorted(array $rows): array
{
    sort($rows);
    return $rows;
}

function records(RecordsApi $records): string
{
    [$page, , $headers] = $records->listFasilitasKesehatanWithHttpInfo(filter: "kode_wilayah='33.20.10'", sort: 'nama');
    $page = typed(FasilitasKesehatanPage::class, $page);
    $statuses = array_map(static fn (SourceStatus $source): string => $source->getStatus(), $page->getSources());
    tell('list', [keys($page), $page->getComplete(), $page->getNextCursor(), $statuses]);

    $filter = ['op' => '=', 'args' => [['property' => 'rawat_inap'], true]];
    $asked = (new SearchBody())->setFilter($filter)->setSort(['nama'])->setLimit(5);
    tell('search', keys(typed(FasilitasKesehatanPage::class, $records->searchFasilitasKesehatan($asked))));

    $one = typed(FasilitasKesehatanPage::class, $records->getFasilitasKesehatan(keys($page)[0]))->getItems()[0];
    tell('lookup', [$one->getNama(), $one->getSource()->getAgency()]);

    $count = (new Measure())->setFunction(Measure::FUNCTION_COUNT)->setAs('n');
    $wanted = (new AggregateBody())->setAggregates([$count])->setGroupBy(['jenis']);
    $groups = typed(GroupsAnswer::class, $records->aggregateFasilitasKesehatan($wanted));
    tell('aggregate', sorted(pairs($groups->getItems())));
    return array_change_key_case($headers)['exchange-id'][0];
}

function questions(RecordsApi $records, QueriesApi $queries): void
{
    $sql = 'SELECT jenis, count(*) AS n FROM fasilitas_kesehatan GROUP BY jenis ORDER BY jenis';
    $rows = typed(QueryAnswer::class, $queries->queryRecords((new QueryBody())->setSql($sql)));
    $names = array_map(static fn (QueryColumn $column): string => $column->getName(), $rows->getColumns());
    tell('sql', [$names, pairs($rows->getItems())]);

    $question = (new ExplainBody())->setSchema('fasilitas_kesehatan')->setFilter("kode_wilayah = '33.20.10'");
    $plan = typed(Explanation::class, $records->explainQuestion($question));
    $told = static fn (ExplainedSource $source): array => [$source->getAgency(), $source->getDataset(), $source->getPushed()];
    tell('explain', sorted(array_map($told, $plan->getSources())));
}

function refusal(RecordsApi $records): void
{
    try {
        $records->listFasilitasKesehatan(filter: 'tidak_ada = 1');
    } catch (ApiException $refused) {
        $problem = typed(Problem::class, $refused->getResponseObject());
        $told = static fn (ProblemPlace $place): array => [$place->getCode(), $place->getDetail()];
        tell('problem', [$problem->getStatus(), $problem->getCode(), array_map($told, $problem->getErrors())]);
        return;
    }
    throw new UnexpectedValueException('no problem');
}

function main(): void
{
    $token = signIn('CLIENT');
    tell('token', [$token->getTokenType(), $token->getExpiresIn()]);
    $portal = connected($token);

    $schemas = typed(SchemasAnswer::class, (new CatalogueApi(new Client(), $portal))->listSchemas());
    $told = static fn (SchemaItem $item): array => [$item->getName(), $item->getVersion()];
    tell('schemas', array_map($told, $schemas->getItems()));

    $records = new RecordsApi(new Client(), $portal);
    $name = records($records);
    questions($records, new QueriesApi(new Client(), $portal));
    refusal($records);

    $audit = new AuditApi(new Client(), connected(signIn('AUDITOR')));
    $exchange = typed(ExchangeAnswer::class, $audit->getExchange($name));
    $told = static fn (WholeEntry $entry): array => [$entry->getKind(), $entry->getIndex()];
    $checkpoint = $exchange->getProof()->getCheckpoint();
    tell('exchange', [$exchange->getExchangeId(), array_map($told, $exchange->getEntries()), substr($checkpoint, 0, 20)]);
}

main();
