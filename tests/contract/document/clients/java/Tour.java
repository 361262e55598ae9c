import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import simpul.ApiClient;
import simpul.ApiException;
import simpul.ApiResponse;
import simpul.api.AccessApi;
import simpul.api.AuditApi;
import simpul.api.CatalogueApi;
import simpul.api.QueriesApi;
import simpul.api.RecordsApi;
import simpul.model.AggregateBody;
import simpul.model.ExchangeAnswer;
import simpul.model.ExplainBody;
import simpul.model.FasilitasKesehatan;
import simpul.model.FasilitasKesehatanPage;
import simpul.model.Measure;
import simpul.model.Problem;
import simpul.model.QueryAnswer;
import simpul.model.QueryBody;
import simpul.model.SearchBody;
import simpul.model.TokenAnswer;

/** Calls of the tour through a client that openapi-generator makes for Java: one JSON line a call. */
final class Tour {
    private static final String URL = System.getenv("SIMPUL_URL");

    private static void tell(String call, Object... got) throws Exception {
        System.out.println(Library.json(List.of(call, Arrays.asList(got))));
    }

    private static TokenAnswer signIn(String name) throws Exception {
        AccessApi access = new AccessApi(Library.connect(URL, null));
        return access.issueToken(
            "client_credentials", null, null, System.getenv("SIMPUL_" + name), System.getenv("SIMPUL_" + name + "_SECRET"), null);
    }

    private static Object[] keys(FasilitasKesehatanPage page) {
        return page.getItems().stream().map(record -> record.getSource().getId()).toArray();
    }

    private static Object[] sorted(List<List<Object>> rows) {
        return rows.stream().sorted(Comparator.comparing(row -> (String) row.get(0))).toArray();
    }

    private static List<List<Object>> pairs(List<Map<String, Object>> items) {
        List<List<Object>> found = new ArrayList<>();
        items.forEach(item -> found.add(List.of(item.get("jenis"), item.get("n"))));
        return found;
    }

    private static ApiResponse<FasilitasKesehatanPage> list(RecordsApi records, String filter) throws ApiException {
        return records.listFasilitasKesehatanWithHttpInfo(
            filter, null, null, "nama",
            null, null, null, null, null, null, null, null, null, null, null, null, null, null, null,
            null, null, null, null, null, null, null, null, null, null, null, null, null, null);
    }

    private static String records(RecordsApi records) throws Exception {
        ApiResponse<FasilitasKesehatanPage> answer = list(records, "kode_wilayah='33.20.10'");
        FasilitasKesehatanPage page = answer.getData();
        Object[] statuses = page.getSources().stream().map(source -> source.getStatus()).toArray();
        tell("list", keys(page), page.getComplete(), page.getNextCursor(), statuses);

        Object filter = Map.of("op", "=", "args", List.of(Map.of("property", "rawat_inap"), true));
        SearchBody asked = new SearchBody().filter(filter).sort(List.of("nama")).limit(5);
        tell("search", keys(records.searchFasilitasKesehatan(
            asked, null, null, null, null, null, null, null, null, null, null)));

        String key = page.getItems().get(0).getSource().getId();
        FasilitasKesehatan one =
            records.getFasilitasKesehatan(
                key, null, null, null, null, null, null, null, null, null, null, null, null, null, null).getItems().get(0);
        tell("lookup", one.getNama(), one.getSource().getAgency());

        AggregateBody wanted = new AggregateBody()
            .addAggregatesItem(new Measure().function(Measure.FunctionEnum.COUNT).as("n")).addGroupByItem("jenis");
        tell("aggregate", sorted(pairs(records.aggregateFasilitasKesehatan(
            wanted, null, null, null, null, null, null, null, null, null).getItems())));

        ExplainBody question = new ExplainBody().schema("fasilitas_kesehatan").filter("kode_wilayah = '33.20.10'");
        List<List<Object>> sources = new ArrayList<>();
        records.explainQuestion(question, null, null, null, null, null, null, null, null).getSources()
            .forEach(source -> sources.add(List.of(source.getAgency(), source.getDataset(), source.getPushed())));
        tell("explain", sorted(sources));
        refuse(records);
        return answer.getHeaders().entrySet().stream()
            .filter(header -> header.getKey().equalsIgnoreCase("Exchange-Id")).findFirst().orElseThrow().getValue().get(0);
    }

    private static void refuse(RecordsApi records) throws Exception {
        try {
            list(records, "tidak_ada = 1");
            throw new IllegalStateException("no problem");
        } catch (ApiException refused) {
            Problem problem = Library.problem(refused.getResponseBody());
            Object[] places =
                problem.getErrors().stream().map(place -> List.of(place.getCode(), place.getDetail())).toArray();
            tell("problem", problem.getStatus(), problem.getCode(), places);
        }
    }

    public static void main(String[] given) throws Exception {
        TokenAnswer token = signIn("CLIENT");
        tell("token", token.getTokenType(), token.getExpiresIn());
        ApiClient portal = Library.connect(URL, token.getAccessToken());

        Object[] schemas = new CatalogueApi(portal).listSchemas(null).getItems().stream()
            .map(item -> List.of(item.getName(), item.getVersion())).toArray();
        tell("schemas", schemas);

        String name = records(new RecordsApi(portal));

        String sql = "SELECT jenis, count(*) AS n FROM fasilitas_kesehatan GROUP BY jenis ORDER BY jenis";
        QueryAnswer rows =
            new QueriesApi(portal).queryRecords(
                new QueryBody().sql(sql), null, null, null, null, null, null, null, null, null, null, null, null);
        tell("sql", rows.getColumns().stream().map(column -> column.getName()).toArray(), pairs(rows.getItems()));

        ApiClient auditor = Library.connect(URL, signIn("AUDITOR").getAccessToken());
        ExchangeAnswer exchange = new AuditApi(auditor).getExchange(name, null);
        Object[] kinds =
            exchange.getEntries().stream().map(entry -> List.of(entry.getKind(), entry.getIndex())).toArray();
        tell("exchange", exchange.getExchangeId(), kinds, exchange.getProof().getCheckpoint().substring(0, 20));
    }
}
