package io.egressproxy.autoconfigure;

import org.springframework.web.reactive.function.client.WebClient;
import reactor.netty.http.client.HttpClient;

/** Clients as the application configures them ({@code spring.http.*}, customizers), before a route is applied. */
public interface ConfiguredClients {
    /**
     * A client with the application's timeouts, TLS settings and event loops.
     *
     * @return a new client
     */
    HttpClient httpClient();

    /**
     * A builder with the application's codecs, filters and observations, on this client.
     *
     * @param client the client
     * @return a new builder
     */
    WebClient.Builder webClient(HttpClient client);
}
