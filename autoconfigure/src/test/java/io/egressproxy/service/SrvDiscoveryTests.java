package io.egressproxy.service;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

import io.egressproxy.settings.ExternalServiceSettings;
import java.net.URI;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Schedulers;
import reactor.netty.http.HttpResources;

@Tag("FR-4")
class SrvDiscoveryTests {
    private static final Duration PATIENCE = Duration.ofSeconds(10);

    private static List<String> urls(ServiceEndpoints endpoints) {
        return endpoints.all().stream()
                .map(ServiceEndpoints.Endpoint::url)
                .map(URI::toString)
                .toList();
    }

    @Test
    void endpointsAreThoseOfTheRecordByPriorityAndWeightAndFollowItsChanges() {
        try (NameServer server = new NameServer();
                ServiceLab lab = new ServiceLab(0)) {
            server.records = List.of(
                    new NameServer.Srv(20, 1, 8443, "third.example.org"),
                    new NameServer.Srv(10, 1, 8443, "second.example.org"),
                    new NameServer.Srv(10, 9, 443, "first.example.org"));
            ExternalServiceSettings settings = lab.settings(
                            "proxy.external-service.endpoints=https://fixed.example.org",
                            "proxy.external-service.discovery.srv-name=_proxy._tcp.example.org",
                            "proxy.external-service.discovery.refresh-interval=1s")
                    .externalService();
            ServiceEndpoints endpoints = new ServiceEndpoints(List.of(), "tests", System::nanoTime);
            assertThat(endpoints.areAllUnavailable())
                    .as("nobody has looked yet")
                    .isFalse();
            Mono<Void> known = endpoints.known();
            try (SrvDiscovery discovery = new SrvDiscovery(
                    settings, "_proxy._tcp.example.org", endpoints, HttpResources.get(), server.only())) {
                discovery.start(Schedulers.parallel());
                known.block(PATIENCE); // a request waits until then
                assertThat(endpoints.all()).isNotEmpty();
                await().atMost(PATIENCE).untilAsserted(() -> assertThat(urls(endpoints))
                        .containsExactly(
                                "https://fixed.example.org",
                                "https://first.example.org:443",
                                "https://second.example.org:8443",
                                "https://third.example.org:8443"));

                server.records = List.of(new NameServer.Srv(1, 1, 443, "moved.example.org"));
                await().atMost(PATIENCE).untilAsserted(() -> assertThat(urls(endpoints))
                        .containsExactly("https://fixed.example.org", "https://moved.example.org:443"));

                server.records = List.of(NameServer.BROKEN, new NameServer.Srv(1, 1, 443, "again.example.org"));
                await().atMost(PATIENCE).untilAsserted(() -> assertThat(urls(endpoints))
                        .as("a record that is broken is left out")
                        .containsExactly("https://fixed.example.org", "https://again.example.org:443"));

                server.broken = true;
                server.records = List.of();
                await().pollDelay(Duration.ofSeconds(2)).atMost(PATIENCE).untilAsserted(() -> assertThat(
                                urls(endpoints))
                        .as("what was found last stays")
                        .hasSize(2));
            }
        }
    }
}
