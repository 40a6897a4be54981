package io.egressproxy.routing;

import io.egressproxy.ConnectionType;
import io.egressproxy.ExchangeId;
import io.egressproxy.ProxyDecision;
import io.egressproxy.ProxyDecision.Direct;
import io.egressproxy.ProxyDecision.UseProxy;
import io.egressproxy.ProxyTarget;
import io.egressproxy.settings.DirectFallback;
import io.egressproxy.settings.ProxySettings;
import io.egressproxy.settings.UnmatchedHosts;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Says at start which route each exchange takes, and what about it looks like a mistake. */
final class RouteSummary {
    private static final Logger log = LoggerFactory.getLogger(RouteSummary.class);

    private RouteSummary() {}

    static void log(ProxySettings settings, Function<ProxyTarget, ProxyDecision> decide) {
        List<String> halfDirect = new ArrayList<>();
        Stream.concat(settings.exchanges().keySet().stream(), Stream.of(ExchangeId.DEFAULT))
                .forEach(exchange -> {
                    List<ProxyDecision> decisions = Stream.of(ConnectionType.values())
                            .map(type -> decide.apply(ProxyTarget.of(exchange, type)))
                            .toList();
                    log.info("{}: {}", exchange, line(decisions));
                    boolean forgotten = decisions.stream().anyMatch(RouteSummary::isUnconfigured)
                            && decisions.stream().anyMatch(UseProxy.class::isInstance);
                    if (forgotten) {
                        halfDirect.add(exchange.toString());
                    }
                });
        if (!halfDirect.isEmpty()) {
            log.warn(
                    "Only one of http and websocket has a proxy, the other connects DIRECTLY: {}. Configure the other"
                            + " type too, or say direct: true there; the types never stand in for each other.",
                    String.join(", ", halfDirect));
        }
        if (settings.unmatchedHosts() == UnmatchedHosts.DIRECT) {
            log.info("hosts that no exchange claims: DIRECT (unmatched-hosts)");
        }
        if (!settings.noProxy().isEmpty()) {
            log.info("hosts that never use a proxy: {} (no-proxy)", settings.noProxy());
        }
        if (settings.externalService().enabled()) {
            log.warn(
                    "proxy.external-service is enabled, but this version asks no proxy service yet: it counts as away");
        }
        if (settings.directFallback() == DirectFallback.ALWAYS) {
            log.warn("proxy.direct-fallback is always: when no proxy is left, connections are made DIRECTLY,"
                    + " except for exchanges with require-proxy");
        }
    }

    private static boolean isUnconfigured(ProxyDecision decision) {
        return decision instanceof Direct direct && direct.reason() == ProxyDecision.Reason.NOT_CONFIGURED;
    }

    private static String line(List<ProxyDecision> decisions) {
        ConnectionType[] types = ConnectionType.values();
        return Stream.iterate(0, i -> i < types.length, i -> i + 1)
                .map(i -> types[i].id() + " " + decisions.get(i))
                .collect(Collectors.joining(", "));
    }
}
