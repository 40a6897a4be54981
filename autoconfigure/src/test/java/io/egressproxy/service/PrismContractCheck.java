package io.egressproxy.service;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.entry;

import io.egressproxy.Outcome;
import io.egressproxy.ProxyUrl;
import java.time.Duration;
import java.util.Objects;
import org.junit.jupiter.api.Test;

/**
 * The client's main flow against a mock server that somebody else has made of the OpenAPI document, and that rejects what the
 * document does not have. Run by {@code .ci/run}, which starts the server: {@code -Dprism.url=http://127.0.0.1:4010}.
 */
class PrismContractCheck {
    @Test
    void aProxyIsAskedForAndItsAnswerKept() {
        String url = Objects.requireNonNull(System.getProperty("prism.url"), "set -Dprism.url");
        try (ServiceLab lab = new ServiceLab(0)) {
            ServiceDelegation delegation = lab.delegation(
                    "proxy.external-service.endpoints=" + url,
                    "proxy.external-service.health-check.enabled=true",
                    "proxy.exchanges.binance.region=us-east-1",
                    "proxy.exchanges.binance.metadata.feed_types=trades");
            Answer answer = Objects.requireNonNull(
                    delegation.answers().ask(ServiceLab.target("binance")).block(Duration.ofSeconds(10)));
            assertThat(answer.proxy()).isEqualTo(ProxyUrl.parse("socks5://user:password@proxy.example.org:1080"));
            assertThat(answer.proxyId()).isEqualTo("proxy-123");
            assertThat(delegation.answers().cached(ServiceLab.target("binance")))
                    .isSameAs(answer);
            delegation
                    .answers()
                    .connectionTurnedOut(
                            ServiceLab.target("binance"), answer, new Outcome.Succeeded(Duration.ofMillis(45)));
            delegation.close();
            assertThat(lab.feedback)
                    .as("reports that the mock server found to be in the contract")
                    .containsOnly(entry("accepted", 1L));
        }
    }
}
