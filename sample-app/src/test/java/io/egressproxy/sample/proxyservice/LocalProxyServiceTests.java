package io.egressproxy.sample.proxyservice;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.entry;

import io.egressproxy.sample.proxyservice.LocalProxyServiceProperties.Offer;
import io.netty.handler.codec.http.HttpHeaderNames;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import reactor.core.publisher.Mono;
import reactor.netty.ByteBufFlux;
import reactor.netty.http.client.HttpClient;

@Timeout(30)
class LocalProxyServiceTests {

    private static final Duration LIMIT = Duration.ofSeconds(10);
    private static final String REQUEST = "/api/v1/proxy/request";

    private final LocalProxyService service = new LocalProxyService(new LocalProxyServiceProperties(
            0,
            "token",
            Duration.ofSeconds(5),
            Map.of("kraken", List.of(new Offer("first", "http://a:1"), new Offer("second", "http://b:2")))));

    @BeforeEach
    void start() {
        service.start();
    }

    @AfterEach
    void stop() {
        service.destroy();
    }

    private String post(String path, String token, String body) {
        return HttpClient.newConnection()
                .headers(headers -> headers.set(HttpHeaderNames.AUTHORIZATION, "Bearer " + token))
                .post()
                .uri(service.view().url() + path)
                .send(ByteBufFlux.fromString(Mono.just(body)))
                .responseSingle((response, content) ->
                        content.asString().map(text -> response.status().code() + " " + text))
                .block(LIMIT);
    }

    private String ask(String exchange, String metadata) {
        return post(
                REQUEST,
                "token",
                "{\"exchange_id\": \"%s\", \"connection_type\": \"http\", \"client_id\": \"tests\", \"metadata\": %s}"
                        .formatted(exchange, metadata));
    }

    @Test
    void givesTheFirstProxyThatIsNotExcluded() {
        assertThat(ask("kraken", "{}"))
                .isEqualTo("200 {\"strategy\":\"first\",\"ttl_seconds\":5,\"fallback_policy\":\"embedded_fallback\","
                        + "\"proxy_url\":\"http://a:1\",\"metadata\":{\"proxy_id\":\"first\"}}");
        assertThat(ask("kraken", "{\"exclude\": [\"first\"]}")).contains("\"proxy_id\":\"second\"");
        assertThat(ask("kraken", "{\"exclude\": [\"first\", \"second\"]}")).contains("\"proxy_url\":null");
        assertThat(ask("binance", "{}")).contains("\"proxy_url\":null");
        assertThat(service.view().given()).containsOnly(entry("first", 1L), entry("second", 1L), entry("none", 2L));
    }

    @Test
    void countsWhatItIsTold() {
        String report = "{\"exchange_id\": \"kraken\", \"proxy_id\": \"first\", \"success\": %s}";
        assertThat(post("/api/v1/proxy/feedback", "token", report.formatted("true")))
                .isEqualTo("200 {}");
        assertThat(post(
                        "/api/v1/proxy/feedback/batch",
                        "token",
                        "{\"batch_id\": \"b\", \"client_id\": \"tests\", \"reports\": [%s, %s]}"
                                .formatted(report.formatted("true"), report.formatted("false"))))
                .isEqualTo("200 {}");
        assertThat(service.view().reports()).containsOnly(entry("first succeeded", 2L), entry("first failed", 1L));
    }

    @Test
    void hangingItAnswersNothingUntilItIsStartedAgain() {
        service.hang();
        assertThat(service.view().hanging()).isTrue();
        assertThatThrownBy(() -> HttpClient.newConnection()
                        .get()
                        .uri(service.view().url() + "/health")
                        .response()
                        .block(Duration.ofMillis(500)))
                .isInstanceOf(IllegalStateException.class)
                .hasMessageContaining("Timeout");
        service.start();
        assertThat(ask("kraken", "{}")).startsWith("200 ");
    }

    @Test
    void refusesWhatIsNotInTheContract() {
        assertThat(post(REQUEST, "other", "{}")).startsWith("401 ");
        assertThat(post("/other", "token", "{}")).startsWith("404 ");
        assertThat(post(REQUEST, "token", "{}")).startsWith("400 ");
        assertThat(post(REQUEST, "token", "no json")).startsWith("400 ");
        assertThat(service.view().toString()).doesNotContain("token");
    }
}
