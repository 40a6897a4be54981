package io.egressproxy.autoconfigure;

import org.springframework.http.client.reactive.ReactorClientHttpConnector;
import org.springframework.web.reactive.function.client.WebClient;
import reactor.netty.http.client.HttpClient;

/** Clients where Spring Boot configures none. */
final class PlainClients implements ConfiguredClients {
    @Override
    public HttpClient httpClient() {
        return HttpClient.create();
    }

    @Override
    public WebClient.Builder webClient(HttpClient client) {
        return WebClient.builder().clientConnector(new ReactorClientHttpConnector(client));
    }
}
