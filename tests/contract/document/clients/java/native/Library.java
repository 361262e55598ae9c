import simpul.ApiClient;
import simpul.model.Problem;

/** What differs between the libraries: here java.net.http and Jackson. */
final class Library {
    private static final ApiClient PLAIN = new ApiClient();

    static ApiClient connect(String url, String token) {
        ApiClient client = new ApiClient();
        client.updateBaseUri(url);
        if (token != null) {
            client.setRequestInterceptor(request -> request.header("Authorization", "Bearer " + token));
        }
        return client;
    }

    static String json(Object value) throws Exception {
        return PLAIN.getObjectMapper().writeValueAsString(value);
    }

    static Problem problem(String body) throws Exception {
        return PLAIN.getObjectMapper().readValue(body, Problem.class);
    }
}
