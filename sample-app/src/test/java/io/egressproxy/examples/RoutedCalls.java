package io.egressproxy.examples;

import io.egressproxy.ProxyInjector;
import java.io.IOException;
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
import org.springframework.web.reactive.function.client.WebClientRequestException;

/** Answers the calls of a library that is built on OkHttp by a client that is routed; OkHttp itself connects to nothing. */
class RoutedCalls implements Interceptor {
    private final WebClient web;

    RoutedCalls(ProxyInjector proxies, String exchange) {
        this.web = proxies.webClient(exchange).build();
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
            call.header("Content-Type", String.valueOf(body.contentType())).bodyValue(bytes.readByteArray());
        }
        try {
            ResponseEntity<byte[]> answer =
                    Objects.requireNonNull(call.exchangeToMono(response -> response.toEntity(byte[].class))
                            .block());
            return response(request, answer);
        } catch (WebClientRequestException notConnected) {
            throw new IOException(notConnected.getMessage(), notConnected); // as OkHttp would say it
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
