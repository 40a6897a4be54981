package io.egressproxy.examples;

import org.jspecify.annotations.Nullable;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.stereotype.Component;
import org.springframework.web.client.RestClient;

@Component
class TickerRestClient {
    private final RestClient rest;

    TickerRestClient(RestClient.Builder builder, @Value("${binance.url}") String url) {
        this.rest = builder.baseUrl(url).build();
    }

    @Nullable
    String ticker(String symbol) {
        return rest.get().uri("/ticker?symbol={symbol}", symbol).retrieve().body(String.class);
    }
}
