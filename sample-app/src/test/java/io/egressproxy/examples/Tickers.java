package io.egressproxy.examples;

import org.springframework.beans.factory.annotation.Value;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.client.RestClient;
import org.springframework.web.client.support.RestClientAdapter;
import org.springframework.web.service.annotation.GetExchange;
import org.springframework.web.service.annotation.HttpExchange;
import org.springframework.web.service.invoker.HttpServiceProxyFactory;

@HttpExchange
interface Tickers {
    @GetExchange("/ticker")
    String ticker(@RequestParam("symbol") String symbol);

    @Configuration(proxyBeanMethods = false)
    class Clients {
        @Bean
        Tickers tickers(RestClient.Builder builder, @Value("${binance.url}") String url) {
            RestClient rest = builder.baseUrl(url).build();
            return HttpServiceProxyFactory.builderFor(RestClientAdapter.create(rest))
                    .build()
                    .createClient(Tickers.class);
        }
    }
}
