package io.egressproxy.service;

import static org.assertj.core.api.Assertions.assertThat;

import io.egressproxy.ProxyEventListener;
import io.egressproxy.service.ProxyServiceException.Reason;
import io.egressproxy.settings.ProxySettings;
import io.egressproxy.testkit.IssuedCertificate;
import io.egressproxy.testkit.ProxyLab;
import io.egressproxy.testkit.TestCertificates;
import io.micrometer.observation.ObservationRegistry;
import io.netty.handler.ssl.SslContext;
import java.time.Duration;
import java.util.Objects;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import reactor.core.publisher.Mono;
import reactor.netty.DisposableServer;
import reactor.netty.http.HttpResources;
import reactor.netty.http.server.HttpServer;

/** TLS with the service: a server process of its own would not see more. */
@ExtendWith(ProxyLab.Extension.class)
@Tag("NFR-4")
class ServiceTlsTests {
    private final TestCertificates certificates;

    ServiceTlsTests(ProxyLab lab) {
        this.certificates = lab.certificates();
    }

    private static DisposableServer serve(IssuedCertificate certificate) {
        return HttpServer.create()
                .host("127.0.0.1")
                .port(0)
                .secure(spec -> spec.sslContext(certificate.nettyServerContext()))
                .route(routes -> routes.post("/api/v1/proxy/request", (request, response) -> response.header(
                                "Content-Type", "application/json")
                        .sendString(Mono.just("{\"proxy_url\": \"http://10.1.2.3:1\"}"))))
                .bindNow();
    }

    private static @Nullable Reason ask(DisposableServer server, Supplier<@Nullable SslContext> trust) {
        try (ServiceLab lab = new ServiceLab(0)) {
            ProxySettings settings =
                    lab.settings("proxy.external-service.endpoints=https://127.0.0.1:" + server.port());
            try (ServiceDelegation delegation = new ServiceDelegation(
                    settings,
                    "tests",
                    new ServiceConnection(
                            settings.externalService(),
                            HttpResources.get(),
                            trust,
                            () -> settings.externalService().authCredentials(),
                            ObservationRegistry.NOOP),
                    null,
                    AnswerStore.plain(10),
                    null,
                    HttpResources.get(),
                    ProxyEventListener.NONE)) {
                return Objects.requireNonNull(delegation
                                                .answers()
                                                .ask(ServiceLab.target("binance"))
                                                .materialize()
                                                .block(Duration.ofSeconds(10)))
                                        .getThrowable()
                                instanceof ProxyServiceException failure
                        ? failure.reason()
                        : null;
            }
        }
    }

    @Test
    void aServiceWithAValidCertificateIsTrustedByItsBundle() {
        DisposableServer server = serve(certificates.server());
        assertThat(ask(server, certificates::nettyClientContext)).isNull();
        assertThat(ask(server, () -> null))
                .as("the JVM does not know the authority")
                .isEqualTo(Reason.TLS);
        server.disposeNow();
    }

    @ParameterizedTest
    @ValueSource(strings = {"expired", "another host's", "untrusted"})
    void aCertificateThatIsNotInOrderIsRefused(String what) {
        DisposableServer server = serve(
                switch (what) {
                    case "expired" -> certificates.expired();
                    case "untrusted" -> certificates.untrusted();
                    default -> certificates.wrongHost();
                });
        assertThat(ask(server, certificates::nettyClientContext)).isEqualTo(Reason.TLS);
        server.disposeNow();
    }
}
