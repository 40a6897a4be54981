package io.egressproxy.routing;

import io.egressproxy.ConnectionType;
import io.egressproxy.ExchangeId;
import io.egressproxy.ProxyDecision;
import io.egressproxy.ProxyDecision.Direct;
import io.egressproxy.ProxyTarget;
import io.egressproxy.ProxyUrl;
import io.egressproxy.pool.ProxyPool;
import io.egressproxy.pool.ProxyPool.Member;
import io.egressproxy.pool.ProxyPool.MemberState;
import io.egressproxy.routing.RouteTable.Route;
import io.egressproxy.settings.DirectFallback;
import io.egressproxy.settings.ProxySettings;
import io.egressproxy.settings.UnmatchedHosts;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Says at start which route each exchange takes, and what about it looks like a mistake. */
final class RouteSummary {
    private static final Logger log = LoggerFactory.getLogger(RouteSummary.class);

    private static final int SHOWN = 10;

    private RouteSummary() {}

    static void log(ProxySettings settings, RouteTable table) {
        Collection<ProxyPool> pools = table.pools();
        long proxies = pools.stream().mapToLong(pool -> pool.proxies().size()).sum();
        log.atInfo()
                .addKeyValue("exchanges", settings.exchanges().size())
                .addKeyValue("pools", pools.size())
                .addKeyValue("proxies", proxies)
                .addKeyValue("service", settings.externalService().enabled())
                .log(
                        "Egress proxying is on: {} exchange(s), {} pool(s) with {} proxies, {}, direct-fallback {}",
                        settings.exchanges().size(),
                        pools.size(),
                        proxies,
                        settings.externalService().enabled() ? "a proxy service" : "no proxy service",
                        settings.directFallback().name().toLowerCase(Locale.ROOT));
        List<String> halfDirect = new ArrayList<>();
        Stream.concat(settings.exchanges().keySet().stream(), Stream.of(ExchangeId.DEFAULT))
                .forEach(exchange -> {
                    List<Route> routes = Stream.of(ConnectionType.values())
                            .map(type -> table.route(ProxyTarget.of(exchange, type)))
                            .toList();
                    log.info("{}: {}", exchange, line(routes));
                    boolean forgotten = routes.stream().anyMatch(RouteSummary::isUnconfigured)
                            && routes.stream().anyMatch(Route::isProxied);
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
            log.info(
                    "a proxy service is asked first, for {} % of the exchanges: {}{}",
                    settings.externalService().rolloutPercent(),
                    settings.externalService().endpoints(),
                    settings.externalService().fallbackToEmbedded() ? "" : "; without it there is no connection");
        }
        if (settings.directFallback() == DirectFallback.ALWAYS) {
            log.warn("proxy.direct-fallback is always: when no proxy is left, connections are made DIRECTLY,"
                    + " except for exchanges with require-proxy");
        }
    }

    /** The same for whoever asks. */
    static Map<String, Map<String, String>> routes(RouteTable table) {
        Map<String, Map<String, String>> routes = new LinkedHashMap<>();
        Stream.concat(table.settings().exchanges().keySet().stream(), Stream.of(ExchangeId.DEFAULT))
                .forEach(exchange -> {
                    Map<String, String> byType = new LinkedHashMap<>();
                    for (ConnectionType type : ConnectionType.values()) {
                        byType.put(type.id(), text(table.route(ProxyTarget.of(exchange, type))));
                    }
                    routes.put(exchange.toString(), byType);
                });
        return routes;
    }

    /** The proxies of a pool with what is known of them. */
    static String members(ProxyPool pool) {
        List<Member> members = pool.states();
        String more = members.size() > SHOWN ? ", ... (" + members.size() + " in all)" : "";
        return members.stream()
                .limit(SHOWN)
                .map(member -> member.proxy() + " " + member.state().id()
                        + (member.state() == MemberState.UP || member.why() == null ? "" : " (" + member.why() + ")"))
                .collect(Collectors.joining(", ", "", more));
    }

    private static boolean isUnconfigured(Route route) {
        return route instanceof Route.Fixed fixed
                && fixed.decision() instanceof Direct direct
                && direct.reason() == ProxyDecision.Reason.NOT_CONFIGURED;
    }

    private static String line(List<Route> routes) {
        ConnectionType[] types = ConnectionType.values();
        return IntStream.range(0, types.length)
                .mapToObj(i -> types[i].id() + " " + text(routes.get(i)))
                .collect(Collectors.joining(", "));
    }

    private static String text(Route route) {
        if (route instanceof Route.Pooled pooled) {
            List<ProxyUrl> proxies = pooled.pool().proxies();
            String more = proxies.size() > SHOWN ? ", ..." : "";
            return "via " + pooled.pool().strategy() + " of " + proxies.size() + " proxies "
                    + proxies.stream()
                            .limit(SHOWN)
                            .map(ProxyUrl::toString)
                            .collect(Collectors.joining(", ", "[", more + "]"))
                    + " (" + pooled.source().id() + ")";
        }
        return route instanceof Route.Exempt exempt
                ? exempt.decision().toString()
                : ((Route.Fixed) route).decision().toString();
    }
}
