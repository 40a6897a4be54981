package io.egressproxy.examples;

import io.egressproxy.ProxyInjector;
import java.io.IOException;
import java.time.Duration;
import java.util.Objects;
import okhttp3.Interceptor;
import okhttp3.MediaType;
import okhttp3.Protocol;
import okhttp3.Request;
import okhttp3.RequestBody;
import okhttp3.Response;
import okhttp3.ResponseBody;
import okio.Buffer;
import org.springframework.http.HttpMethod;
import org.springframework.http.ResponseEntity;
import org.springframework.web.reactive.function.client.WebClient;

/** Answers the calls of a library that is built on OkHttp by a client that is routed; OkHttp itself connects to nothing. */
class RoutedCalls implements Interceptor {
    private static final MediaType OCTETS = MediaType.get("application/octet-stream");

    private final WebClient web;

    RoutedCalls(ProxyInjector proxies, String exchange) {
        this.web = proxies.webClient(exchange)
                .codecs(codecs -> codecs.defaultCodecs().maxInMemorySize(16 * 1024 * 1024))
                .build();
    }

    @Override
    public Response intercept(Chain chain) throws IOException {
        Request request = chain.request();
        WebClient.RequestBodySpec call = web.method(HttpMethod.valueOf(request.method()))
                .uri(request.url().uri())
                .headers(headers -> request.headers().forEach(one -> headers.add(one.getFirst(), one.getSecond())));
        RequestBody body = request.body();
        if (body != null) {
            Buffer bytes = new Buffer();
            body.writeTo(bytes);
            MediaType type = body.contentType();
            call.headers(headers -> headers.set("Content-Type", String.valueOf(type == null ? OCTETS : type)))
                    .bodyValue(bytes.readByteArray());
        }
        try {
            ResponseEntity<byte[]> answer = call.exchangeToMono(response -> response.toEntity(byte[].class))
                    .block(Duration.ofMillis(chain.connectTimeoutMillis() + chain.readTimeoutMillis()));
            return response(request, Objects.requireNonNull(answer));
        } catch (RuntimeException failure) { // OkHttp, and whoever builds on it, expects no other
            throw new IOException(failure.getMessage(), failure);
        }
    }

    private static Response response(Request request, ResponseEntity<byte[]> answer) {
        String type = String.valueOf(answer.getHeaders().getContentType());
        Response.Builder response = new Response.Builder()
                .request(request)
                .protocol(Protocol.HTTP_1_1)
                .code(answer.getStatusCode().value())
                .message("")
                .body(ResponseBody.create(
                        Objects.requireNonNullElse(answer.getBody(), new byte[0]), MediaType.parse(type)));
        answer.getHeaders().forEach((name, values) -> values.forEach(value -> response.addHeader(name, value)));
        return response.build();
    }
}
