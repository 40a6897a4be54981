package io.egressproxy.routing;

import io.egressproxy.ExchangeId;
import io.egressproxy.Outcome;
import io.egressproxy.ProxyDecision;
import io.egressproxy.ProxyDecision.Direct;
import io.egressproxy.ProxyDecision.Reason;
import io.egressproxy.ProxyDecision.UseProxy;
import io.egressproxy.ProxyLease;
import io.egressproxy.ProxyTarget;
import io.egressproxy.ProxyUrl;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.slf4j.spi.LoggingEventBuilder;

/**
 * What the log says about decisions: each one at DEBUG; what went wrong at WARN, at most once a minute for each cause, with how often. The
 * fields of structured formats have the names of the metrics' tags. Thread-safe.
 */
final class DecisionLog {
    private static final Logger log = LoggerFactory.getLogger(ProxyRouter.class);

    private final Throttle<Fallback> fallbacks;
    private final Throttle<ExchangeId> directs;
    private final Throttle<ProxyUrl> tlsFailures;

    private record Fallback(ExchangeId exchange, String reason) {}

    DecisionLog(LongSupplier nanoTime) {
        this.fallbacks = new Throttle<>(nanoTime);
        this.directs = new Throttle<>(nanoTime);
        this.tlsFailures = new Throttle<>(nanoTime);
    }

    void decided(ProxyTarget target, ProxyDecision decision, @Nullable String correlationId) {
        if (log.isDebugEnabled()) {
            described(log.atDebug(), target, decision, correlationId).log("{}: {}", target, decision);
        }
    }

    /**
     * A connection does not get what was meant for it.
     *
     * @param exchange what warnings are counted for
     * @param trouble whether anybody need care
     */
    void fellBack(
            ExchangeId exchange,
            ProxyLease lease,
            String reason,
            String text,
            @Nullable String correlationId,
            boolean trouble) {
        if (!trouble) {
            log.debug("{}: {}; instead {}", lease.target(), text, lease.decision());
            return;
        }
        long count = fallbacks.occurred(new Fallback(exchange, reason));
        if (count > 0) {
            described(log.atWarn(), lease.target(), lease.decision(), correlationId)
                    .addKeyValue("reason", reason)
                    .addKeyValue("count", count)
                    .log(
                            "{}: {}; instead {} ({} such connection(s) since the last warning)",
                            lease.target(),
                            text,
                            lease.decision(),
                            count);
        }
    }

    void direct(ExchangeId exchange, ProxyTarget target, Direct direct) {
        long count = directs.occurred(exchange);
        if (count > 0) {
            described(log.atWarn(), target, direct, null)
                    .addKeyValue("count", count)
                    .log(
                            "{}: no proxy is left, connecting DIRECTLY since {} ({} such connection(s) since the last warning)",
                            target,
                            direct.reason() == Reason.DIRECTED
                                    ? "the proxy service says so"
                                    : "proxy.direct-fallback is always",
                            count);
        }
    }

    /** Somebody may be listening in where a certificate is not the proxy's. */
    void tlsFailed(ProxyTarget target, ProxyUrl proxy, Outcome.Failed failure) {
        long count = tlsFailures.occurred(proxy);
        if (count > 0) {
            about(log.atWarn(), target)
                    .addKeyValue("proxy", proxy.toString())
                    .addKeyValue("count", count)
                    .log(
                            "SECURITY: TLS with the proxy {} failed for {}: it {} ({} such failure(s) since the last warning)",
                            proxy,
                            target,
                            failure.detail(),
                            count);
        }
    }

    private static LoggingEventBuilder about(LoggingEventBuilder line, ProxyTarget target) {
        return line.addKeyValue("exchange", target.exchange().toString())
                .addKeyValue("connection.type", target.type().id());
    }

    private static LoggingEventBuilder described(
            LoggingEventBuilder line, ProxyTarget target, ProxyDecision decision, @Nullable String correlationId) {
        LoggingEventBuilder described = about(line, target).addKeyValue("source", decision.sourceId());
        if (decision instanceof UseProxy use) {
            described = described.addKeyValue("proxy", use.proxy().toString());
        }
        return correlationId == null ? described : described.addKeyValue("correlation.id", correlationId);
    }
}
