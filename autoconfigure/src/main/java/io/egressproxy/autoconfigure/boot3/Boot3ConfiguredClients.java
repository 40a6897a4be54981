package io.egressproxy.autoconfigure.boot3;

import io.egressproxy.autoconfigure.ConfiguredClients;
import io.egressproxy.routing.UnroutedClientGuard;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicReference;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.http.client.reactive.ClientHttpConnectorBuilder;
import org.springframework.boot.http.client.reactive.ClientHttpConnectorSettings;
import org.springframework.boot.http.client.reactive.ReactorClientHttpConnectorBuilder;
import org.springframework.http.client.reactive.ReactorClientHttpConnector;
import org.springframework.web.reactive.function.client.WebClient;
import reactor.netty.http.client.HttpClient;

/** Clients as Spring Boot 3 configures them; plain ones where it configures none on Reactor Netty. */
final class Boot3ConfiguredClients implements ConfiguredClients {
    private final ObjectProvider<ClientHttpConnectorBuilder<?>> connectors;
    private final ObjectProvider<ClientHttpConnectorSettings> settings;
    private final ObjectProvider<WebClient.Builder> webClients;

    Boot3ConfiguredClients(
            ObjectProvider<ClientHttpConnectorBuilder<?>> connectors,
            ObjectProvider<ClientHttpConnectorSettings> settings,
            ObjectProvider<WebClient.Builder> webClients) {
        this.connectors = connectors;
        this.settings = settings;
        this.webClients = webClients;
    }

    /** Spring Boot shows no client, only connectors; but it shows the client to the last customizer. */
    @Override
    public HttpClient httpClient() {
        AtomicReference<HttpClient> configured = new AtomicReference<>(HttpClient.create());
        if (connectors.getIfAvailable() instanceof ReactorClientHttpConnectorBuilder builder) {
            builder.withHttpClientCustomizer(client -> {
                        configured.set(client);
                        return client;
                    })
                    .build(settings.getIfAvailable(ClientHttpConnectorSettings::defaults));
        }
        return Objects.requireNonNull(configured.get());
    }

    @Override
    public WebClient.Builder webClient(HttpClient client) {
        return webClients
                .getIfAvailable(WebClient::builder)
                // the connector that it guards against is replaced
                .filters(filters -> filters.removeIf(UnroutedClientGuard.class::isInstance))
                .clientConnector(new ReactorClientHttpConnector(client));
    }
}
