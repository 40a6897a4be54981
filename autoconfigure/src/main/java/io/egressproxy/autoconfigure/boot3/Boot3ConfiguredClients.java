package io.egressproxy.autoconfigure.boot3;

import io.egressproxy.autoconfigure.ConfiguredClients;
import io.egressproxy.autoconfigure.TransparentClients;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.http.client.reactive.ClientHttpConnectorBuilder;
import org.springframework.boot.http.client.reactive.ClientHttpConnectorSettings;
import org.springframework.web.reactive.function.client.WebClient;
import reactor.netty.http.client.HttpClient;

/** Clients as Spring Boot 3 configures them. */
record Boot3ConfiguredClients(
        ObjectProvider<ClientHttpConnectorBuilder<?>> connectors,
        ObjectProvider<ClientHttpConnectorSettings> settings,
        ObjectProvider<WebClient.Builder> webClients)
        implements ConfiguredClients {
    @Override
    public HttpClient httpClient() {
        return TransparentClients.configured(
                connectors.getIfAvailable(),
                builder -> builder.build(settings.getIfAvailable(ClientHttpConnectorSettings::defaults)));
    }

    @Override
    public WebClient.Builder webClient(HttpClient client) {
        return TransparentClients.on(webClients.getIfAvailable(WebClient::builder), client);
    }
}
