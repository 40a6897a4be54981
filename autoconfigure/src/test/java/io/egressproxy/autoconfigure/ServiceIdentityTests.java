package io.egressproxy.autoconfigure;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.egressproxy.ConnectionType;
import io.egressproxy.ProxyDecision;
import io.egressproxy.ProxyInjector;
import io.egressproxy.testkit.IssuedCertificate;
import io.egressproxy.testkit.ProxyLab;
import io.egressproxy.testkit.TestCertificates;
import io.netty.handler.codec.http.HttpHeaders;
import io.netty.handler.ssl.ClientAuth;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslContextBuilder;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.atomic.AtomicInteger;
import javax.net.ssl.SSLException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;
import org.springframework.context.ApplicationContext;
import reactor.core.publisher.Mono;
import reactor.netty.DisposableServer;
import reactor.netty.http.server.HttpServer;

/** Who the service is, who we are to it, and what it hears about the trace that a request belongs to. */
@ExtendWith(ProxyLab.Extension.class)
@Tag("FR-4")
@Tag("NFR-4")
@Tag("smoke")
class ServiceIdentityTests {
    private static final Duration PATIENCE = Duration.ofSeconds(20);

    private final TestCertificates certificates;
    private final Queue<HttpHeaders> requests = new ConcurrentLinkedQueue<>();
    private final AtomicInteger exchanges = new AtomicInteger();
    private final DisposableServer anybodys;
    private final DisposableServer knownClients;

    ServiceIdentityTests(ProxyLab lab) {
        this.certificates = lab.certificates();
        this.anybodys = serve(ClientAuth.NONE);
        this.knownClients = serve(ClientAuth.REQUIRE);
    }

    private DisposableServer serve(ClientAuth clientAuth) {
        IssuedCertificate own = certificates.server();
        SslContext tls;
        try {
            tls = SslContextBuilder.forServer(
                            own.certificateFile().toFile(), own.keyFile().toFile())
                    .trustManager(certificates.authority())
                    .clientAuth(clientAuth)
                    .build();
        } catch (SSLException unusable) {
            throw new IllegalStateException(unusable);
        }
        return HttpServer.create()
                .host("127.0.0.1")
                .port(0)
                .secure(spec -> spec.sslContext(tls))
                .route(routes -> routes.post("/api/v1/proxy/request", (request, response) -> {
                    requests.add(request.requestHeaders());
                    return response.header("Content-Type", "application/json")
                            .sendString(Mono.just("{\"proxy_url\": \"http://10.1.2.3:1\", \"ttl_seconds\": 300}"));
                }))
                .bindNow();
    }

    @AfterEach
    void stop() {
        anybodys.disposeNow();
        knownClients.disposeNow();
    }

    private ApplicationContextRunner application(DisposableServer server, String... properties) {
        return new ApplicationContextRunner()
                .withPropertyValues(
                        "proxy.enabled=true",
                        "proxy.no-proxy=",
                        "proxy.external-service.enabled=true",
                        "proxy.external-service.ssl-bundle=service",
                        "proxy.external-service.fallback-after=5s",
                        "proxy.external-service.health-check.enabled=false",
                        "proxy.external-service.retry.max-attempts=1",
                        "proxy.external-service.auth-credentials.token=token-1",
                        "proxy.external-service.endpoints=https://127.0.0.1:" + server.port(),
                        "spring.ssl.bundle.pem.service.truststore.certificate=file:" + certificates.authorityFile())
                .withPropertyValues(properties)
                .withConfiguration(SpringBoot.autoConfigurations(
                        "CodecsAutoConfiguration",
                        "SslAutoConfiguration",
                        "ProxyServiceAutoConfiguration",
                        "EgressProxyAutoConfiguration"));
    }

    /** For an exchange that nobody has asked for yet, so that nothing is kept and nothing has failed. */
    private boolean isServed(ApplicationContext context) {
        return context.getBean(ProxyInjector.class)
                        .decide("exchange" + exchanges.incrementAndGet(), ConnectionType.HTTP)
                        .block(PATIENCE)
                instanceof ProxyDecision.UseProxy;
    }

    @Test
    void withMutualTlsTheCertificateOfTheBundleSaysWhoWeAreAndNoTokenIsSent() {
        IssuedCertificate client = certificates.client();
        application(
                        knownClients,
                        "proxy.external-service.auth-method=mutual_tls",
                        "spring.ssl.bundle.pem.service.keystore.certificate=file:" + client.certificateFile(),
                        "spring.ssl.bundle.pem.service.keystore.private-key=file:" + client.keyFile())
                .run(context -> {
                    assertThat(isServed(context)).isTrue();
                    assertThat(requests).singleElement().satisfies(headers -> assertThat(headers.names())
                            .doesNotContain("Authorization", "X-API-Key"));
                });
        application(knownClients).run(context -> assertThat(isServed(context))
                .as("without a certificate")
                .isFalse());
    }

    @Test
    void aTrustStoreThatIsReplacedTakesEffectWithoutARestart(@TempDir Path directory) throws IOException {
        Path trusted = Files.copy(certificates.otherAuthorityFile(), directory.resolve("trusted.pem"));
        application(
                        anybodys,
                        "spring.ssl.bundle.pem.service.reload-on-update=true",
                        "spring.ssl.bundle.watch.file.quiet-period=100ms",
                        "spring.ssl.bundle.pem.service.truststore.certificate=file:" + trusted)
                .run(context -> {
                    assertThat(isServed(context)).isFalse();
                    Path next = Files.copy(certificates.authorityFile(), directory.resolve("next.pem"));
                    Files.move(next, trusted, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
                    await().atMost(PATIENCE).until(() -> isServed(context));
                });
    }

    @Test
    void theServiceHearsOfTheTraceThatARequestBelongsTo() {
        application(anybodys, "management.tracing.sampling.probability=1.0")
                .withConfiguration(SpringBoot.autoConfigurations(SpringBoot.TRACING))
                .run(context -> {
                    assertThat(isServed(context)).isTrue();
                    // sampled, and perhaps marked as random, as newer tracers do
                    assertThat(requests).singleElement().satisfies(headers -> assertThat(headers.get("traceparent"))
                            .matches("00-[0-9a-f]{32}-[0-9a-f]{16}-0[13]"));
                });
        requests.clear();
        application(anybodys).run(context -> {
            assertThat(isServed(context)).isTrue();
            assertThat(requests).singleElement().satisfies(headers -> assertThat(headers.names())
                    .as("without tracing")
                    .doesNotContain("traceparent"));
        });
    }
}
