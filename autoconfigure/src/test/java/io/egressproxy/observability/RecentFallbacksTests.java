package io.egressproxy.observability;

import static org.assertj.core.api.Assertions.assertThat;

import io.egressproxy.ConnectionType;
import io.egressproxy.ExchangeId;
import io.egressproxy.ProxyDecision;
import io.egressproxy.ProxyDecision.Direct;
import io.egressproxy.ProxyDecision.Reason;
import io.egressproxy.ProxyDecision.Source;
import io.egressproxy.ProxyDecision.UseProxy;
import io.egressproxy.ProxyTarget;
import io.egressproxy.ProxyUrl;
import java.time.Clock;
import java.time.Duration;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

@Tag("NFR-3")
class RecentFallbacksTests {
    private static final ProxyTarget TARGET = ProxyTarget.of(ExchangeId.of("binance"), ConnectionType.HTTP);
    private static final ProxyDecision EMBEDDED =
            new UseProxy(ProxyUrl.parse("http://proxy:1"), Duration.ofSeconds(5), null, Source.DEFAULT);

    private final RecentFallbacks fallbacks = new RecentFallbacks(Clock.systemUTC());

    @Test
    void thatTheServiceHasNoProxyPushesNothingOutUnlessItLeadsToNone() {
        fallbacks.fellBack(TARGET, "timeout", EMBEDDED, "id");
        for (int i = 0; i < 200; i++) {
            fallbacks.fellBack(TARGET, "no_proxy", EMBEDDED, "id");
        }
        assertThat(fallbacks.latest())
                .extracting(RecentFallbacks.Fallback::reason)
                .containsExactly("timeout");
        fallbacks.fellBack(TARGET, "no_proxy", new Direct(Reason.DIRECTED), "id");
        assertThat(fallbacks.latest())
                .extracting(RecentFallbacks.Fallback::reason)
                .containsExactly("no_proxy", "timeout");
    }

    @Test
    void theLastHundredAreRememberedTheLatestFirst() {
        for (int i = 0; i < 150; i++) {
            fallbacks.fellBack(TARGET, "timeout", EMBEDDED, "id-" + i);
        }
        assertThat(fallbacks.latest()).hasSize(100);
        assertThat(fallbacks.latest().get(0).correlationId()).isEqualTo("id-149");
        assertThat(fallbacks.latest().get(99).correlationId()).isEqualTo("id-50");
    }
}
