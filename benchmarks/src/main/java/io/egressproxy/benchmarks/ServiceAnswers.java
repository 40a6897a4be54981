package io.egressproxy.benchmarks;

import io.egressproxy.ProxyEventListener;
import io.egressproxy.service.CaffeineAnswerStore;
import io.egressproxy.service.ProxyResponse;
import io.egressproxy.service.ProxyServiceClient;
import io.egressproxy.service.ServiceConnection;
import io.egressproxy.service.ServiceDelegation;
import io.egressproxy.settings.ExternalServiceSettings;
import io.egressproxy.settings.ProxySettings;
import io.egressproxy.settings.ProxySettingsBinder;
import io.micrometer.observation.ObservationRegistry;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import org.springframework.core.env.MapPropertySource;
import org.springframework.core.env.StandardEnvironment;
import reactor.netty.http.HttpResources;

/** A proxy service's client on settings as a user writes them, with whatever stands in for the service itself. */
final class ServiceAnswers {
    static final ProxyResponse ANSWER =
            new ProxyResponse("http://10.1.2.3:8080", null, 3_600L, "embedded_fallback", Map.of());

    private ServiceAnswers() {}

    static ProxySettings settingsWithoutService() {
        return settings(Map.of());
    }

    static ProxySettings settings() {
        return settings(Map.of(
                "proxy.external-service.enabled", "true",
                "proxy.external-service.endpoints", "http://127.0.0.1:1",
                "proxy.external-service.health-check.enabled", "false"));
    }

    private static ProxySettings settings(Map<String, Object> service) {
        Map<String, Object> values = new HashMap<>(service);
        values.put("proxy.enabled", "true");
        values.put("proxy.exchanges.binance.hosts", ".binance.com");
        values.put("proxy.exchanges.kraken.hosts", "api.kraken.com, *.kraken.com");
        for (int i = 0; i < 3; i++) {
            values.put("proxy.default.http.pool[" + i + "].url", "http://10.1.2." + (4 + i) + ":8080");
        }
        StandardEnvironment environment = new StandardEnvironment();
        environment.getPropertySources().addFirst(new MapPropertySource("benchmark", values));
        return ProxySettingsBinder.bind(environment);
    }

    static ServiceDelegation delegation(ProxySettings settings, ProxyServiceClient client) {
        ExternalServiceSettings service = settings.externalService();
        return new ServiceDelegation(
                settings,
                "benchmark",
                new ServiceConnection(
                        service, HttpResources.get(), () -> null, service::authCredentials, ObservationRegistry.NOOP),
                client,
                new CaffeineAnswerStore(10_000, Duration.ZERO),
                null,
                HttpResources.get(),
                ProxyEventListener.NONE);
    }
}
