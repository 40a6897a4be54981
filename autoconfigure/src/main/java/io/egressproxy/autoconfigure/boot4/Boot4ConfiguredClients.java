package io.egressproxy.autoconfigure.boot4;

import io.egressproxy.autoconfigure.ConfiguredClients;
import io.egressproxy.autoconfigure.TransparentClients;
import java.lang.reflect.Method;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.springframework.aot.hint.ExecutableMode;
import org.springframework.aot.hint.RuntimeHints;
import org.springframework.aot.hint.RuntimeHintsRegistrar;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.http.client.HttpClientSettings;
import org.springframework.boot.http.client.reactive.ClientHttpConnectorBuilder;
import org.springframework.util.ReflectionUtils;
import org.springframework.web.reactive.function.client.WebClient;
import reactor.netty.http.client.HttpClient;

/** Clients as Spring Boot 4 configures them. */
record Boot4ConfiguredClients(
        ObjectProvider<ClientHttpConnectorBuilder<?>> connectors,
        ObjectProvider<HttpClientSettings> settings,
        ObjectProvider<WebClient.Builder> webClients)
        implements ConfiguredClients {

    /** By name: in Spring Boot 3, which this is compiled with, the builder of the same name takes settings of another type. */
    private static Method build() {
        return Objects.requireNonNull(
                ReflectionUtils.findMethod(ClientHttpConnectorBuilder.class, "build", HttpClientSettings.class));
    }

    /** So that a native image finds it. */
    static final class Hints implements RuntimeHintsRegistrar {
        @Override
        public void registerHints(RuntimeHints hints, @Nullable ClassLoader classLoader) {
            hints.reflection().registerMethod(build(), ExecutableMode.INVOKE);
        }
    }

    @Override
    public HttpClient httpClient() {
        return TransparentClients.configured(
                connectors.getIfAvailable(),
                builder -> ReflectionUtils.invokeMethod(build(), builder, settings.getIfAvailable()));
    }

    @Override
    public WebClient.Builder webClient(HttpClient client) {
        return TransparentClients.on(webClients.getIfAvailable(WebClient::builder), client);
    }
}
