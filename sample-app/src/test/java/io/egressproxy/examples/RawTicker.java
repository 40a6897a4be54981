package io.egressproxy.examples;

import io.egressproxy.ConnectionType;
import io.egressproxy.ProxyInjector;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.stereotype.Component;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.netty.http.client.HttpClient;

@Component
class RawTicker {
    private final HttpClient http;
    private final HttpClient stream;
    private final String url;
    private final String streamUrl;

    RawTicker(
            ProxyInjector proxies, @Value("${binance.url}") String url, @Value("${binance.stream}") String streamUrl) {
        HttpClient own = HttpClient.create().compress(true); // whatever you need, and the proxies last
        this.http = proxies.customize(own, "binance");
        this.stream = proxies.customize(own, "binance", ConnectionType.WEBSOCKET);
        this.url = url;
        this.streamUrl = streamUrl;
    }

    Mono<String> ticker(String symbol) {
        return http.get()
                .uri(url + "/ticker?symbol=" + URLEncoder.encode(symbol, StandardCharsets.UTF_8))
                .responseSingle((response, body) -> response.status().code() == 200
                        ? body.asString()
                        : Mono.error(new IllegalStateException("the exchange answers " + response.status())));
    }

    Flux<String> ticks() {
        return stream.websocket()
                .uri(streamUrl)
                .handle((in, out) -> in.aggregateFrames().receive().asString());
    }
}
