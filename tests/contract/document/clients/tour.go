// Calls of the tour through the client that openapi-generator makes for Go: one JSON line a call.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

	simpul "simpul.example/client/go"
)

func must(err error) {
	if err != nil {
		var told *simpul.GenericOpenAPIError
		if errors.As(err, &told) {
			fmt.Fprintln(os.Stderr, string(told.Body()))
		}
		panic(err)
	}
}

func tell(call string, got any) {
	line, err := json.Marshal([]any{call, got})
	must(err)
	fmt.Println(string(line))
}

func signedIn(client *simpul.APIClient, name string) (context.Context, *simpul.TokenAnswer) {
	token, _, err := client.AccessAPI.IssueToken(context.Background()).GrantType("client_credentials").
		ClientId(os.Getenv("SIMPUL_" + name)).ClientSecret(os.Getenv("SIMPUL_" + name + "_SECRET")).Execute()
	must(err)
	return context.WithValue(context.Background(), simpul.ContextAccessToken, token.AccessToken), token
}

func keys(page *simpul.FasilitasKesehatanPage) []string {
	found := []string{}
	for _, record := range page.Items {
		found = append(found, record.Source.Id)
	}
	return found
}

func sorted(rows [][]any) [][]any {
	slices.SortFunc(rows, func(one, other []any) int { return slices.Compare([]byte(one[0].(string)), []byte(other[0].(string))) })
	return rows
}

func records(client *simpul.APIClient, portal context.Context) string {
	page, answer, err := client.RecordsAPI.ListFasilitasKesehatan(portal).Filter("kode_wilayah='33.20.10'").Sort("nama").Execute()
	must(err)
	statuses := []string{}
	for _, source := range page.Sources {
		statuses = append(statuses, source.Status)
	}
	tell("list", []any{keys(page), page.Complete, page.NextCursor.Get(), statuses})

	asked := simpul.NewSearchBody()
	asked.SetFilter(map[string]any{"op": "=", "args": []any{map[string]any{"property": "rawat_inap"}, true}})
	asked.SetSort([]string{"nama"})
	asked.SetLimit(5)
	found, _, err := client.RecordsAPI.SearchFasilitasKesehatan(portal).SearchBody(*asked).Execute()
	must(err)
	tell("search", keys(found))

	one, _, err := client.RecordsAPI.GetFasilitasKesehatan(portal, keys(page)[0]).Execute()
	must(err)
	tell("lookup", []any{one.Items[0].GetNama(), one.Items[0].Source.Agency})

	count := simpul.NewMeasure("count")
	count.SetAs("n")
	wanted := simpul.NewAggregateBody([]simpul.Measure{*count})
	wanted.SetGroupBy([]string{"jenis"})
	groups, _, err := client.RecordsAPI.AggregateFasilitasKesehatan(portal).AggregateBody(*wanted).Execute()
	must(err)
	tell("aggregate", sorted(pairs(groups.Items)))
	return answer.Header.Get("Exchange-Id")
}

func pairs(items []*map[string]any) [][]any {
	found := [][]any{}
	for _, item := range items {
		found = append(found, []any{(*item)["jenis"], (*item)["n"]})
	}
	return found
}

func questions(client *simpul.APIClient, portal context.Context) {
	sql := "SELECT jenis, count(*) AS n FROM fasilitas_kesehatan GROUP BY jenis ORDER BY jenis"
	rows, _, err := client.QueriesAPI.QueryRecords(portal).QueryBody(*simpul.NewQueryBody(sql)).Execute()
	must(err)
	names := []string{}
	for _, column := range rows.Columns {
		names = append(names, column.Name)
	}
	tell("sql", []any{names, pairs(rows.Items)})

	question := simpul.NewExplainBody("fasilitas_kesehatan")
	question.SetFilter("kode_wilayah = '33.20.10'")
	plan, _, err := client.RecordsAPI.ExplainQuestion(portal).ExplainBody(*question).Execute()
	must(err)
	sources := [][]any{}
	for _, source := range plan.Sources {
		sources = append(sources, []any{source.Agency, source.Dataset, source.Pushed})
	}
	tell("explain", sorted(sources))

	_, _, err = client.RecordsAPI.ListFasilitasKesehatan(portal).Filter("tidak_ada = 1").Execute()
	var refused *simpul.GenericOpenAPIError
	if !errors.As(err, &refused) {
		panic("no problem")
	}
	problem := refused.Model().(simpul.Problem)
	places := [][]any{}
	for _, place := range problem.Errors {
		places = append(places, []any{place.Code, place.Detail})
	}
	tell("problem", []any{problem.Status, problem.Code, places})
}

func main() {
	configuration := simpul.NewConfiguration()
	configuration.Servers = simpul.ServerConfigurations{{URL: os.Getenv("SIMPUL_URL")}}
	client := simpul.NewAPIClient(configuration)

	portal, token := signedIn(client, "CLIENT")
	tell("token", []any{token.TokenType, token.ExpiresIn})

	schemas, _, err := client.CatalogueAPI.ListSchemas(portal).Execute()
	must(err)
	found := [][]any{}
	for _, item := range schemas.Items {
		found = append(found, []any{item.Name, item.Version})
	}
	tell("schemas", found)

	name := records(client, portal)
	questions(client, portal)

	auditor, _ := signedIn(client, "AUDITOR")
	exchange, _, err := client.AuditAPI.GetExchange(auditor, name).Execute()
	must(err)
	kinds := [][]any{}
	for _, entry := range exchange.Entries {
		kinds = append(kinds, []any{entry.Kind, entry.Index})
	}
	tell("exchange", []any{exchange.ExchangeId, kinds, exchange.Proof.Checkpoint[:20]})
}
