package io.egressproxy.observability;

import io.egressproxy.ProxyDecision;
import io.egressproxy.ProxyEventListener;
import io.egressproxy.ProxyServiceAnswer;
import io.egressproxy.ProxyTarget;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.BiConsumer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.slf4j.spi.LoggingEventBuilder;

/**
 * The audit trail: each request to the proxy service, what it came to, each batch of feedback, each fallback, and what operators do. A line
 * at DEBUG on the logger {@value #LOGGER}, which is off unless it is switched on, and an event for whoever keeps such events.
 */
public final class ProxyAudit implements ProxyEventListener {
    /** The logger of the trail, and of nothing else. */
    public static final String LOGGER = "io.egressproxy.audit";

    private static final Logger log = LoggerFactory.getLogger(LOGGER);

    private final @Nullable BiConsumer<String, Map<String, Object>> publisher;

    /**
     * A trail.
     *
     * @param publisher gets the type of each event and its data; must not block. Null if nobody keeps events
     */
    public ProxyAudit(@Nullable BiConsumer<String, Map<String, Object>> publisher) {
        this.publisher = publisher;
    }

    @Override
    public boolean hearsConnections() {
        return false;
    }

    @Override
    public void requested(ProxyTarget target, String correlationId) {
        if (isKept()) {
            keep("PROXY_REQUEST", about(target, correlationId));
        }
    }

    @Override
    public void answered(ProxyTarget target, String correlationId, ProxyServiceAnswer answer) {
        if (isKept()) {
            Map<String, Object> data = about(target, correlationId);
            data.put("outcome", "success");
            if (answer.proxy() != null) {
                data.put("proxy", answer.proxy().toString());
            }
            if (answer.proxyId() != null) {
                data.put("proxy.id", answer.proxyId());
            }
            data.put("ttl.seconds", answer.timeToLive().toSeconds());
            data.put("fallback.policy", answer.fallbackPolicy());
            keep("PROXY_ANSWER", data);
        }
    }

    @Override
    public void notAnswered(ProxyTarget target, String correlationId, String outcome, String detail) {
        if (isKept()) {
            Map<String, Object> data = about(target, correlationId);
            data.put("outcome", outcome);
            data.put("detail", detail);
            keep("PROXY_ANSWER", data);
        }
    }

    @Override
    public void fellBack(ProxyTarget target, String reason, ProxyDecision decision, @Nullable String correlationId) {
        if (isKept()) {
            Map<String, Object> data = about(target, correlationId);
            data.put("reason", reason);
            data.put("to", decision.sourceId());
            data.put("decision", decision.toString());
            keep("PROXY_FALLBACK", data);
        }
    }

    @Override
    public void feedbackBatch(String batchId, int reports, String outcome) {
        if (isKept()) {
            Map<String, Object> data = new LinkedHashMap<>();
            data.put("correlation.id", batchId);
            data.put("reports", reports);
            data.put("outcome", outcome);
            keep("PROXY_FEEDBACK", data);
        }
    }

    @Override
    public void reloaded(String outcome) {
        if (isKept()) {
            keep("PROXY_RELOAD", Map.of("outcome", outcome));
        }
    }

    /**
     * Somebody has intervened.
     *
     * @param operation what was done, for example {@code drain}
     * @param data to what, and why, without secrets
     */
    public void operated(String operation, Map<String, Object> data) {
        if (isKept()) {
            Map<String, Object> all = new LinkedHashMap<>();
            all.put("operation", operation);
            all.putAll(data);
            keep("PROXY_OPERATION", all);
        }
    }

    private boolean isKept() {
        return publisher != null || log.isDebugEnabled();
    }

    private static Map<String, Object> about(ProxyTarget target, @Nullable String correlationId) {
        Map<String, Object> data = new LinkedHashMap<>();
        data.put("exchange", target.exchange().toString());
        data.put("connection.type", target.type().id());
        if (target.host() != null) {
            data.put("host", target.shownHost());
        }
        if (correlationId != null) {
            data.put("correlation.id", correlationId);
        }
        return data;
    }

    private void keep(String type, Map<String, Object> data) {
        if (log.isDebugEnabled()) {
            LoggingEventBuilder line = log.atDebug();
            for (Map.Entry<String, Object> field : data.entrySet()) {
                line = line.addKeyValue(field.getKey(), field.getValue());
            }
            line.log("{} {}", type, data); // in words as well, for formats without fields
        }
        if (publisher != null) {
            publisher.accept(type, data);
        }
    }
}
