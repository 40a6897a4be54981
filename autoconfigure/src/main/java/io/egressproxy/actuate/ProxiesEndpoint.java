package io.egressproxy.actuate;

import io.egressproxy.ConnectionType;
import io.egressproxy.ExchangeId;
import io.egressproxy.InvalidProxyUrlException;
import io.egressproxy.ProxyDecision;
import io.egressproxy.ProxyReload;
import io.egressproxy.ProxyTarget;
import io.egressproxy.ProxyUrl;
import io.egressproxy.observability.ProxyAudit;
import io.egressproxy.observability.RecentFallbacks;
import io.egressproxy.pool.HealthMonitor;
import io.egressproxy.pool.ProxyPool;
import io.egressproxy.pool.ProxyPool.Member;
import io.egressproxy.routing.ProxyRouter;
import io.egressproxy.service.ProxyAnswers.KeptAnswer;
import io.egressproxy.service.ServiceDelegation;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.function.Predicate;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.actuate.endpoint.Access;
import org.springframework.boot.actuate.endpoint.SecurityContext;
import org.springframework.boot.actuate.endpoint.annotation.DeleteOperation;
import org.springframework.boot.actuate.endpoint.annotation.Endpoint;
import org.springframework.boot.actuate.endpoint.annotation.ReadOperation;
import org.springframework.boot.actuate.endpoint.annotation.Selector;
import org.springframework.boot.actuate.endpoint.annotation.WriteOperation;
import org.springframework.boot.actuate.endpoint.web.WebEndpointResponse;
import org.springframework.boot.convert.DurationStyle;
import reactor.core.publisher.Mono;

/**
 * The actuator endpoint {@code proxies}: what is in force, what is known, why a connection would take which proxy; and what an operator may
 * do about it. Only reading is allowed by default; {@code management.endpoint.proxies.access: unrestricted} allows the rest.
 */
@Endpoint(id = "proxies", defaultAccess = Access.READ_ONLY)
public final class ProxiesEndpoint {
    private static final int MOST_SHOWN = 1_000;
    private static final int LONGEST_REASON = 200;
    private static final int HTTPS = 443;
    private static final String OPERATIONS = "use drain, resume or reload";

    private final ProxyRouter router;
    private final Supplier<@Nullable ServiceDelegation> service;
    private final HealthMonitor monitor;
    private final RecentFallbacks fallbacks;
    private final ProxyAudit audit;
    private final ProxyReload reload;
    private final Clock clock;

    /**
     * An endpoint on these.
     *
     * @param router decides
     * @param service the proxy service's client, or null while there is none
     * @param monitor checks proxies
     * @param fallbacks the last ones
     * @param audit told of each intervention
     * @param reload reads the settings again
     * @param clock what time it is
     */
    public ProxiesEndpoint(
            ProxyRouter router,
            Supplier<@Nullable ServiceDelegation> service,
            HealthMonitor monitor,
            RecentFallbacks fallbacks,
            ProxyAudit audit,
            ProxyReload reload,
            Clock clock) {
        this.router = router;
        this.service = service;
        this.monitor = monitor;
        this.fallbacks = fallbacks;
        this.audit = audit;
        this.reload = reload;
        this.clock = clock;
    }

    /**
     * All that is known.
     *
     * @return settings, routes, pools, the service, the kept answers and the last fallbacks, without secrets
     */
    @ReadOperation
    public Map<String, Object> proxies() {
        Map<String, Object> report = new LinkedHashMap<>();
        report.put("routes", router.routes());
        Map<String, Object> pools = new LinkedHashMap<>();
        router.pools().forEach(pool -> pools.put(pool.name(), pool(pool)));
        report.put("pools", pools);
        report.put("own-network-suspected", monitor.isOwnNetworkSuspected());
        ServiceDelegation delegation = service.get();
        if (delegation != null) {
            report.put("service", service(delegation));
        }
        report.put(
                "fallbacks",
                fallbacks.latest().stream().map(ProxiesEndpoint::fallback).toList());
        report.put("configuration", configuration());
        report.put("settings", SettingsView.of(router.settings()));
        return report;
    }

    /**
     * What a connection opened now would do, and why. Asks the proxy service if a connection would.
     *
     * @param exchange an exchange id, or {@code *} for the one that claims the host
     * @param type {@code http} or {@code websocket}
     * @param host the target's host, which may be on {@code no-proxy}; may be left out
     * @param port the target's port, 443 if it is left out: a proxy may just have failed for it
     * @return the decision and the steps that lead to it
     */
    @ReadOperation
    public Mono<WebEndpointResponse<Map<String, Object>>> explain(
            @Selector String exchange,
            @Selector String type,
            @org.springframework.lang.Nullable @Nullable String host,
            @org.springframework.lang.Nullable @Nullable Integer port) {
        ProxyTarget target;
        try {
            target = target(
                    exchange, type(type), host == null || host.isEmpty() ? null : host, port == null ? HTTPS : port);
        } catch (IllegalArgumentException invalid) {
            return Mono.just(refused(String.valueOf(invalid.getMessage())));
        }
        return router.explain(target).map(explanation -> {
            Map<String, Object> shown = new LinkedHashMap<>();
            shown.put("exchange", target.exchange().toString());
            shown.put("connection-type", target.type().id());
            shown.put("decision", explanation.decision().toString());
            shown.put("source", explanation.decision().sourceId());
            if (explanation.decision() instanceof ProxyDecision.UseProxy use) {
                shown.put("proxy", use.proxy().toString());
                shown.put("timeout", SettingsView.text(use.timeout()));
            }
            shown.put("steps", explanation.steps());
            return new WebEndpointResponse<>(shown);
        });
    }

    private ProxyTarget target(String exchange, ConnectionType type, @Nullable String host, int port) {
        if (exchange.equals(ExchangeId.UNMATCHED.toString())) {
            return host == null ? ProxyTarget.of(ExchangeId.UNMATCHED, type) : router.target(type, host, port);
        }
        ExchangeId id = ExchangeId.of(exchange);
        return host == null ? ProxyTarget.of(id, type) : new ProxyTarget(id, type, host, port);
    }

    /**
     * Does something about it: {@code drain} gives a proxy no new connections, {@code resume} gives it connections again, {@code
     * reload} reads the settings again.
     *
     * @param operation which
     * @param proxy the proxy of {@code drain} and {@code resume}, for example {@code socks5://proxy.example.org:1080}, in all pools
     *     that have it; credentials are not needed
     * @param reason why it is drained
     * @param expiry when draining ends by itself, for example {@code 30m}, in seconds if it has no unit; may be left out
     * @param caller who wants it
     * @return what was done
     */
    @WriteOperation
    public WebEndpointResponse<Map<String, Object>> operate(
            @Selector String operation,
            @org.springframework.lang.Nullable @Nullable String proxy,
            @org.springframework.lang.Nullable @Nullable String reason,
            @org.springframework.lang.Nullable @Nullable String expiry,
            SecurityContext caller) {
        try {
            return switch (operation) {
                case "drain" -> drain(proxy, reason, expiry, caller);
                case "resume" -> resume(proxy, caller);
                case "reload" -> reload(caller);
                default -> refused("there is no such operation: " + OPERATIONS);
            };
        } catch (IllegalArgumentException invalid) {
            return refused(String.valueOf(invalid.getMessage()));
        }
    }

    /**
     * Forgets the answers of the proxy service for an exchange and type, so that the next connection asks.
     *
     * @param exchange an exchange id
     * @param type {@code http} or {@code websocket}
     * @param caller who wants it
     * @return how many were kept
     */
    @DeleteOperation
    public WebEndpointResponse<Map<String, Object>> evict(
            @Selector String exchange, @Selector String type, SecurityContext caller) {
        ServiceDelegation delegation = service.get();
        if (delegation == null) {
            return refused("no proxy service is configured, and so no answers are kept");
        }
        try {
            ProxyTarget target = target(exchange, type(type), null, 0);
            int evicted = delegation.answers().evict(target.exchange(), target.type());
            operated(
                    caller,
                    "evict",
                    Map.of(
                            "exchange",
                            target.exchange().toString(),
                            "connection.type",
                            target.type().id(),
                            "evicted",
                            evicted));
            return new WebEndpointResponse<>(Map.of("evicted", evicted));
        } catch (IllegalArgumentException invalid) {
            return refused(String.valueOf(invalid.getMessage()));
        }
    }

    private WebEndpointResponse<Map<String, Object>> drain(
            @Nullable String proxy, @Nullable String reason, @Nullable String expiry, SecurityContext caller) {
        if (reason == null
                || reason.isBlank()
                || reason.length() > LONGEST_REASON
                || reason.chars().anyMatch(Character::isISOControl)) {
            return refused("reason is missing, longer than " + LONGEST_REASON
                    + " characters, or has control characters: say why the proxy is drained");
        }
        Duration end = expiry == null || expiry.isEmpty() ? null : expiry(expiry);
        Predicate<ProxyUrl> which = which(proxy);
        List<ProxyPool> pools = router.pools().stream()
                .filter(pool -> pool.proxies().stream().anyMatch(which))
                .toList();
        if (pools.isEmpty()) {
            return refused(
                    "proxy is in no pool; a proxy that stands alone cannot be drained, since nothing could take over");
        }
        List<String> emptied = pools.stream()
                .filter(pool -> pool.wouldBeEmptyWithout(which))
                .map(ProxyPool::name)
                .toList();
        if (!emptied.isEmpty()) {
            return refused(
                    "proxy is the last one of " + emptied + " that works and is not drained: see to another one first");
        }
        Map<String, List<String>> drained = new LinkedHashMap<>();
        pools.forEach(pool -> {
            List<ProxyUrl> these = pool.drain(which, reason, end);
            if (!these.isEmpty()) { // else the last one that worked has failed meanwhile
                drained.put(pool.name(), texts(these));
            }
        });
        Map<String, Object> done = new LinkedHashMap<>();
        done.put("drained", drained);
        done.put("reason", reason);
        if (end != null) {
            done.put("until", clock.instant().plus(end).toString());
        }
        operated(caller, "drain", done);
        return new WebEndpointResponse<>(done);
    }

    private WebEndpointResponse<Map<String, Object>> resume(@Nullable String proxy, SecurityContext caller) {
        Predicate<ProxyUrl> which = which(proxy);
        Map<String, List<String>> resumed = new LinkedHashMap<>();
        router.pools().forEach(pool -> {
            List<ProxyUrl> these = pool.resume(which);
            if (!these.isEmpty()) {
                resumed.put(pool.name(), texts(these));
            }
        });
        if (resumed.isEmpty()) {
            return refused("proxy is not drained in any pool");
        }
        operated(caller, "resume", Map.of("resumed", resumed));
        return new WebEndpointResponse<>(Map.of("resumed", resumed));
    }

    private void operated(SecurityContext caller, String operation, Map<String, Object> data) {
        Map<String, Object> all = new LinkedHashMap<>(data);
        if (caller.getPrincipal() != null) {
            all.put("by", caller.getPrincipal().getName());
        }
        audit.operated(operation, all);
    }

    private WebEndpointResponse<Map<String, Object>> reload(SecurityContext caller) {
        boolean applied = reload.reload();
        operated(caller, "reload", Map.of("applied", applied));
        return new WebEndpointResponse<>(
                configuration(), applied ? WebEndpointResponse.STATUS_OK : WebEndpointResponse.STATUS_BAD_REQUEST);
    }

    private Map<String, Object> configuration() {
        ProxyReload.State state = reload.state();
        Map<String, Object> shown = new LinkedHashMap<>();
        shown.put("state", state.time() == null ? "initial" : state.rejected() ? "rejected" : "applied");
        if (state.time() != null) {
            shown.put("time", state.time().toString());
        }
        if (!state.problems().isEmpty()) {
            shown.put("problems", state.problems());
        }
        if (!state.needRestart().isEmpty()) {
            shown.put("need-restart", state.needRestart());
        }
        return shown;
    }

    private static Duration expiry(String text) {
        Duration expiry;
        try {
            expiry = DurationStyle.detectAndParse(text, ChronoUnit.SECONDS); // as everywhere under proxy
        } catch (IllegalArgumentException invalid) {
            throw new IllegalArgumentException("expiry is no duration: write, for example, 90s, 30m or 2h", invalid);
        }
        if (expiry.isNegative() || expiry.isZero() || expiry.compareTo(Duration.ofDays(365)) > 0) {
            throw new IllegalArgumentException("expiry must be more than nothing and at most 365 days");
        }
        return expiry;
    }

    /** By address: whoever drains a proxy need not know its password. */
    private static Predicate<ProxyUrl> which(@Nullable String text) {
        if (text == null || text.isEmpty()) {
            throw new IllegalArgumentException("proxy is missing: write, for example, socks5://proxy.example.org:1080");
        }
        try {
            String address = ProxyUrl.parse(text.replace("://***@", "://")).address();
            return url -> url.address().equals(address);
        } catch (InvalidProxyUrlException invalid) { // its message is without secrets
            throw new IllegalArgumentException("proxy: " + invalid.getMessage(), invalid);
        }
    }

    private static ConnectionType type(String text) {
        for (ConnectionType type : ConnectionType.values()) {
            if (type.id().equals(text.toLowerCase(Locale.ROOT))) {
                return type;
            }
        }
        throw new IllegalArgumentException("there is no such connection type: use http or websocket");
    }

    private static List<String> texts(List<ProxyUrl> urls) {
        return urls.stream().map(ProxyUrl::toString).toList();
    }

    private static WebEndpointResponse<Map<String, Object>> refused(String why) {
        return new WebEndpointResponse<>(Map.of("error", why), WebEndpointResponse.STATUS_BAD_REQUEST);
    }

    private Map<String, Object> pool(ProxyPool pool) {
        Map<String, Object> shown = new LinkedHashMap<>();
        shown.put("strategy", pool.strategy());
        shown.put("on-exhausted", pool.onExhausted().name().toLowerCase(Locale.ROOT));
        Duration interval = monitor.interval(pool);
        if (interval != null) {
            shown.put("check-interval", SettingsView.text(interval));
        }
        List<Member> members = pool.states();
        Instant now = clock.instant();
        shown.put("size", members.size());
        shown.put(
                "proxies",
                members.stream()
                        .sorted(Comparator.comparing(
                                member -> member.state() == ProxyPool.MemberState.UP)) // trouble first
                        .limit(MOST_SHOWN)
                        .map(member -> member(member, now))
                        .toList());
        return shown;
    }

    private static Map<String, Object> member(Member member, Instant now) {
        Map<String, Object> shown = new LinkedHashMap<>();
        shown.put("proxy", member.proxy().toString());
        shown.put("state", member.state().id());
        if (member.why() != null) {
            shown.put("why", member.why());
        }
        Duration inState = member.inStateFor();
        if (inState != null) {
            shown.put("since", now.minus(inState).toString());
        }
        Duration leftOut = member.leftOutFor();
        if (leftOut != null) {
            shown.put("until", now.plus(leftOut).toString());
        }
        shown.put("active", member.activeConnections());
        shown.put("succeeded", member.succeededConnections());
        shown.put("failed", member.failedConnections());
        return shown;
    }

    private Map<String, Object> service(ServiceDelegation delegation) {
        Map<String, Object> shown = new LinkedHashMap<>();
        shown.put("available", delegation.isAvailable());
        shown.put("breaker", delegation.breakerState());
        shown.put("endpoints", delegation.endpoints());
        List<KeptAnswer> kept = delegation.answers().kept();
        shown.put("answers-kept", kept.size());
        shown.put(
                "answers",
                kept.stream()
                        .sorted(Comparator.comparing(answer -> answer.key().toString()))
                        .limit(MOST_SHOWN)
                        .map(ProxiesEndpoint::answer)
                        .toList());
        return shown;
    }

    private static Map<String, Object> answer(KeptAnswer answer) {
        Map<String, Object> shown = new LinkedHashMap<>();
        shown.put("exchange", answer.key().exchange().toString());
        shown.put("connection-type", answer.key().type().id());
        if (!answer.key().region().isEmpty()) {
            shown.put("region", answer.key().region());
        }
        shown.put("proxy", Objects.toString(answer.content().proxy(), "none"));
        if (answer.content().proxyId() != null) {
            shown.put("proxy-id", answer.content().proxyId());
        }
        shown.put("fallback-policy", answer.content().fallbackPolicy());
        shown.put("age-seconds", answer.age().toSeconds());
        shown.put("ttl-seconds", answer.content().timeToLive().toSeconds());
        shown.put("holds-for-seconds", answer.holdsFor().toSeconds());
        shown.put("correlation-id", answer.correlationId());
        return shown;
    }

    private static Map<String, Object> fallback(RecentFallbacks.Fallback fallback) {
        Map<String, Object> shown = new LinkedHashMap<>();
        shown.put("time", fallback.time().toString());
        shown.put("exchange", fallback.target().exchange().toString());
        shown.put("connection-type", fallback.target().type().id());
        if (fallback.target().host() != null) {
            shown.put("host", fallback.target().shownHost());
        }
        shown.put("reason", fallback.reason());
        shown.put("decision", fallback.decision().toString());
        if (fallback.correlationId() != null) {
            shown.put("correlation-id", fallback.correlationId());
        }
        return shown;
    }
}
