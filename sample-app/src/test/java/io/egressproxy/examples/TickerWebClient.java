package io.egressproxy.examples;

import org.springframework.beans.factory.annotation.Value;
import org.springframework.stereotype.Component;
import org.springframework.web.reactive.function.client.WebClient;
import reactor.core.publisher.Mono;

@Component
class TickerWebClient {
    private final WebClient web;

    TickerWebClient(WebClient.Builder builder, @Value("${binance.url}") String url) {
        this.web = builder.baseUrl(url).build();
    }

    Mono<String> ticker(String symbol) {
        return web.get().uri("/ticker?symbol={symbol}", symbol).retrieve().bodyToMono(String.class);
    }
}
