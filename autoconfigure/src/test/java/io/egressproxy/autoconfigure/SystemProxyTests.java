package io.egressproxy.autoconfigure;

import static org.assertj.core.api.Assertions.assertThat;

import io.egressproxy.ProxyInjector;
import io.egressproxy.testkit.ProxyKind;
import io.egressproxy.testkit.ProxyLab;
import io.egressproxy.testkit.RunningProxy;
import io.egressproxy.testkit.TargetServer;
import java.time.Duration;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;
import org.springframework.context.ApplicationContext;
import org.springframework.web.client.RestClient;
import org.springframework.web.reactive.function.client.WebClient;

/** The JVM's own proxy properties, which Spring Boot has Reactor Netty read since 4.1, never mix with our decision. */
@ExtendWith(ProxyLab.Extension.class)
@Tag("no-leak")
@Tag("smoke")
class SystemProxyTests {
    private static final Duration PATIENCE = Duration.ofSeconds(20);

    private final TargetServer target;
    private final RunningProxy ours;
    private final RunningProxy ofTheJvm;
    private final Map<String, String> properties;
    private final ApplicationContextRunner application = new ApplicationContextRunner()
            .withConfiguration(SpringBoot.autoConfigurations(SpringBoot.REACTIVE_CLIENTS))
            .withConfiguration(SpringBoot.autoConfigurations(SpringBoot.BLOCKING_CLIENTS))
            .withPropertyValues(
                    "spring.reactor.netty.shutdown-quiet-period=0s", "proxy.enabled=true", "proxy.no-proxy=");

    SystemProxyTests(ProxyLab lab) {
        this.target = lab.newTarget();
        this.ours = lab.proxy(ProxyKind.MICROSOCKS_SOCKS5_CREDENTIALS);
        this.ofTheJvm = lab.proxy(ProxyKind.SQUID_HTTP);
        String port = String.valueOf(ofTheJvm.port());
        this.properties = Map.of(
                "http.proxyHost", "127.0.0.1",
                "http.proxyPort", port,
                "https.proxyHost", "127.0.0.1",
                "https.proxyPort", port,
                "http.nonProxyHosts", "");
    }

    @BeforeEach
    void set() {
        properties.forEach(System::setProperty);
    }

    @AfterEach
    void clear() {
        properties.keySet().forEach(System::clearProperty);
        target.close();
    }

    private String webClient(WebClient.Builder builder) {
        return Objects.requireNonNull(builder.build()
                .get()
                .uri(target.url("http", "/whoami"))
                .retrieve()
                .bodyToMono(String.class)
                .block(PATIENCE));
    }

    private String restClient(ApplicationContext context) {
        return Objects.requireNonNull(context.getBean(RestClient.Builder.class)
                .build()
                .get()
                .uri(target.url("http", "/whoami"))
                .retrieve()
                .body(String.class));
    }

    @Test
    void whatHasAProxyTakesThatOneAndNoOther() {
        application.withPropertyValues("proxy.default.http.url=" + ours.url()).run(context -> {
            assertThat(webClient(context.getBean(WebClient.Builder.class))).contains(ours.egressAddress());
            assertThat(restClient(context)).contains(ours.egressAddress());
            assertThat(webClient(context.getBean(ProxyInjector.class).webClient("any")))
                    .contains(ours.egressAddress());
            assertThat(target.connectionsFrom(ofTheJvm)).isEmpty();
        });
    }

    @Test
    void whatIsToBeDirectIsDirect() {
        application
                .withPropertyValues("proxy.default.http.url=" + ours.url(), "proxy.no-proxy=127.0.0.1")
                .run(context -> {
                    webClient(context.getBean(WebClient.Builder.class));
                    restClient(context);
                    assertThat(target.directConnections())
                            .isEqualTo(target.seen())
                            .isNotEmpty();
                });
    }
}
