import simpul.ApiClient;
import simpul.JSON;
import simpul.model.Problem;

/** What differs between the libraries: here OkHttp and Gson. */
final class Library {
    static ApiClient connect(String url, String token) {
        ApiClient client = new ApiClient();
        client.setBasePath(url);
        if (token != null) {
            client.setBearerToken(token);
        }
        return client;
    }

    static String json(Object value) {
        return JSON.getGson().toJson(value);
    }

    static Problem problem(String body) throws Exception {
        return Problem.fromJson(body);
    }
}
