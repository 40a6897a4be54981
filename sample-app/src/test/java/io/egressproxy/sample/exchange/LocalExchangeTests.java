package io.egressproxy.sample.exchange;

import static org.assertj.core.api.Assertions.assertThat;

import io.egressproxy.sample.localproxy.OutgoingPorts;
import io.netty.handler.codec.http.HttpHeaderNames;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import reactor.core.publisher.Mono;
import reactor.netty.http.client.HttpClient;

@Timeout(30)
class LocalExchangeTests {

    private static final Duration LIMIT = Duration.ofSeconds(10);
    private static final LocalExchange exchange =
            new LocalExchange(new LocalExchangeProperties(0), new OutgoingPorts());

    @BeforeAll
    static void start() {
        exchange.start();
    }

    @AfterAll
    static void stop() {
        exchange.destroy();
    }

    private static HttpClient client(String host) {
        return HttpClient.newConnection()
                .baseUrl("http://127.0.0.1:" + exchange.port())
                .headers(headers -> headers.set(HttpHeaderNames.HOST, host));
    }

    private static String answer(String host, String uri) {
        return client(host)
                .get()
                .uri(uri)
                .responseSingle((response, body) ->
                        body.asString().map(text -> response.status().code() + " " + text))
                .block(LIMIT);
    }

    @Test
    void quotesByHostAndSaysWhoAsked() {
        assertThat(answer("api.binance.test:18080", "/ticker?symbol=ETH-USDT"))
                .startsWith("200 {\"exchange\":\"binance\",\"symbol\":\"ETH-USDT\",\"price\":\"")
                .containsPattern("\"price\":\"\\d+\\.\\d\\d\"")
                .contains("\"seenFrom\":\"DIRECT 127.0.0.1:");
        assertThat(answer("API.Coinbase.test", "/ticker"))
                .startsWith("200 {\"exchange\":\"coinbase\",\"symbol\":\"BTC-USDT\"");
    }

    @Test
    void pushesQuotesOverAWebSocket() {
        List<String> quotes = client("stream.coinbase.test")
                .websocket()
                .uri("/ws?symbol=BTC-USDT")
                .handle((in, out) -> in.receive().asString())
                .take(2)
                .collectList()
                .block(LIMIT);

        assertThat(quotes).hasSize(2).allSatisfy(quote -> assertThat(quote)
                .contains("\"exchange\":\"coinbase\"")
                .contains("\"seenFrom\":\"DIRECT 127.0.0.1:"));
    }

    @Test
    void keepsPushingToAClientThatSaysSomething() {
        List<String> quotes = client("stream.coinbase.test")
                .websocket()
                .uri("/ws")
                .handle((in, out) -> out.sendString(Mono.just("hello"))
                        .then()
                        .thenMany(in.receive().asString()))
                .take(3)
                .collectList()
                .block(LIMIT);

        assertThat(quotes).hasSize(3);
    }

    @Test
    void refusesWhatItDoesNotKnow() {
        assertThat(answer("127.0.0.1", "/ticker")).startsWith("404 ");
        assertThat(answer("api.binance.test", "/nothing")).startsWith("404 ");
        assertThat(answer("api.binance.test", "/ticker?symbol=%3Cscript%3E")).startsWith("400 ");
    }
}
