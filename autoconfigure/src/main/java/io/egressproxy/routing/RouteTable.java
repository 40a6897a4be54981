package io.egressproxy.routing;

import io.egressproxy.ConnectionType;
import io.egressproxy.ExchangeId;
import io.egressproxy.ProxyDecision;
import io.egressproxy.ProxyDecision.Direct;
import io.egressproxy.ProxyDecision.Reason;
import io.egressproxy.ProxyDecision.Refuse;
import io.egressproxy.ProxyDecision.Source;
import io.egressproxy.ProxyDecision.UseProxy;
import io.egressproxy.ProxySelectionStrategy;
import io.egressproxy.ProxyTarget;
import io.egressproxy.pool.ProxyPool;
import io.egressproxy.settings.ExchangeSettings;
import io.egressproxy.settings.HostPattern;
import io.egressproxy.settings.PoolMember;
import io.egressproxy.settings.ProxyEntry;
import io.egressproxy.settings.ProxySettings;
import io.egressproxy.settings.SettingsProblem;
import io.egressproxy.settings.UnmatchedHosts;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The settings worked out: what each exchange does for each connection type, and which exchange claims a host. Immutable;
 * a look-up costs a map access and, where a host is known, a walk over the host patterns.
 */
final class RouteTable {
    private static final String REFUSED =
            "require-proxy is true for it, and it would connect directly (%s); configure a proxy for it,"
                    + " or remove require-proxy";

    private static final Route UNMATCHED_DIRECTLY = new Route.Exempt(new Direct(Reason.UNMATCHED_HOST));

    /** As nobody would write into the settings. */
    private static final String ANY_NAME = "any-name.invalid";

    private record Claim(HostPattern pattern, ExchangeId exchange) {}

    /** Where a connection type leads. */
    sealed interface Route {
        /** Whether it leads to a proxy, whichever. */
        default boolean isProxied() {
            return this instanceof Pooled || (this instanceof Fixed fixed && fixed.decision() instanceof UseProxy);
        }

        /** To the same decision, whatever a proxy service would say: the host is an exception. */
        record Exempt(ProxyDecision decision) implements Route {}

        /** Always to the same decision. */
        record Fixed(ProxyDecision decision) implements Route {}

        /**
         * To one of the proxies of a pool.
         *
         * @param version of the pool, once the settings of this route are in force
         */
        record Pooled(ProxyPool pool, Source source, int version) implements Route {
            /** Whether the pool goes by other settings than those of this route, so that it may give what they do not allow. */
            boolean isOutdated() {
                return pool.version() != version;
            }
        }
    }

    private record Routes(Map<ConnectionType, Route> byType, boolean requireProxy) {
        @Nullable
        ProxyPool ownPool(ConnectionType type) {
            return byType.get(type) instanceof Route.Pooled pooled && pooled.source() == Source.EXCHANGE
                    ? pooled.pool()
                    : null;
        }
    }

    private final ProxySettings settings;
    private final Function<String, @Nullable ProxySelectionStrategy> strategies;
    private final Map<ConnectionType, ProxyPool> defaultPools = new EnumMap<>(ConnectionType.class);
    private final Map<ExchangeId, Routes> exchanges = new LinkedHashMap<>();
    private final Routes defaults;
    private final List<Claim> claims = new ArrayList<>();
    private final Map<HostPattern, ExchangeId> byPattern = new HashMap<>();
    private final Map<String, ExchangeId> byName = new HashMap<>();
    private final Map<ProxyPool, Runnable> reconfigurations = new LinkedHashMap<>();

    RouteTable(ProxySettings settings, Function<String, @Nullable ProxySelectionStrategy> strategies) {
        this(settings, strategies, null);
    }

    /**
     * A table that takes over the pools of another one. They go by the new settings once {@link #reconfigurePools} is called.
     *
     * @param before the other one, or null
     * @throws IllegalArgumentException if a pool names a strategy that does not exist
     */
    RouteTable(
            ProxySettings settings,
            Function<String, @Nullable ProxySelectionStrategy> strategies,
            @Nullable RouteTable before) {
        this.settings = settings;
        this.strategies = strategies;
        for (ConnectionType type : ConnectionType.values()) {
            ProxyEntry entry = settings.defaults().entry(type);
            if (entry != null && entry.usesPool()) {
                ProxyPool known = before == null ? null : before.defaultPools.get(type);
                defaultPools.put(type, pool("default", type, entry, known));
            }
        }
        this.defaults = routes(ExchangeId.DEFAULT, null, null);
        settings.exchanges().forEach((id, exchange) -> {
            exchanges.put(id, routes(id, exchange, before == null ? null : before.exchanges.get(id)));
            exchange.hosts().forEach(pattern -> {
                claims.add(new Claim(pattern, id));
                byPattern.put(pattern, id);
                if (pattern.onlyName() != null) {
                    byName.putIfAbsent(pattern.onlyName(), id);
                }
            });
        });
        claims.sort(Comparator.comparing((Claim claim) -> !claim.pattern().isExact())
                .thenComparing(claim -> -claim.pattern().specificity()));
    }

    ProxySettings settings() {
        return settings;
    }

    Collection<ProxyPool> pools() {
        return Stream.concat(
                        defaultPools.values().stream(),
                        exchanges.values().stream()
                                .flatMap(routes -> routes.byType().values().stream())
                                .flatMap(route -> route instanceof Route.Pooled pooled
                                        ? Stream.of(pooled.pool())
                                        : Stream.<ProxyPool>empty()))
                .distinct()
                .toList();
    }

    boolean hasSingleProxies() {
        return Stream.concat(Stream.of(defaults), exchanges.values().stream())
                .flatMap(routes -> routes.byType().values().stream())
                .anyMatch(route -> route instanceof Route.Fixed fixed && fixed.decision() instanceof UseProxy);
    }

    /** Where a connection to this target leads. */
    Route route(ProxyTarget target) {
        boolean unmatched = target.exchange().equals(ExchangeId.UNMATCHED);
        if (unmatched && settings.unmatchedHosts() == UnmatchedHosts.DIRECT) {
            return UNMATCHED_DIRECTLY;
        }
        Routes routes = exchanges.getOrDefault(target.exchange(), defaults);
        String host = target.host();
        if (host != null && isExempt(new HostPattern.Host(host))) {
            return new Route.Exempt(direct(Reason.BYPASS, routes.requireProxy()));
        }
        return Objects.requireNonNull(routes.byType().get(target.type()));
    }

    private boolean isExempt(HostPattern.Host host) {
        for (HostPattern pattern : settings.noProxy()) {
            if (pattern.matches(host)) {
                return true;
            }
        }
        return false;
    }

    /** What a route depends on, in words: {@link #route} step by step. */
    List<String> describe(ProxyTarget target, Route route) {
        List<String> steps = new ArrayList<>();
        String host = target.host();
        if (target.exchange().equals(ExchangeId.UNMATCHED)) {
            steps.add("no exchange claims the host; unmatched-hosts is "
                    + settings.unmatchedHosts().name().toLowerCase(Locale.ROOT));
        } else {
            steps.add(
                    exchanges.containsKey(target.exchange())
                            ? "exchange " + target.exchange() + " is configured"
                            : "exchange " + target.exchange()
                                    + " is not configured, and is served as proxy.default says");
        }
        if (host == null) {
            steps.add("no host is given, so that no-proxy " + settings.noProxy() + " is not looked at");
        } else {
            steps.add(settings.noProxy().stream()
                    .filter(pattern -> pattern.matches(host))
                    .findFirst()
                    .map(pattern -> "its host is on no-proxy (" + pattern + ")")
                    .orElse("its host is not on no-proxy"));
        }
        if (requiresProxy(target)) {
            steps.add("require-proxy is true: it never connects directly");
        }
        if (route instanceof Route.Exempt exempt) {
            steps.add("so nothing else is looked at: " + exempt.decision());
        }
        return steps;
    }

    /** Where a connection leads whose exchange's own pool is exhausted and hands over to the default. */
    Route defaultRoute(ProxyTarget target) {
        return Objects.requireNonNull(defaults.byType().get(target.type()));
    }

    /**
     * What a connection does once no proxy is left for it.
     *
     * @param directed whether the proxy service has said that it may connect directly
     */
    ProxyDecision decideExhausted(ProxyTarget target, String reason, boolean directed) {
        return switch (settings.directFallback()) {
            case ALWAYS -> direct(directed ? Reason.DIRECTED : Reason.FALLBACK, requiresProxy(target));
            case WHEN_DIRECTED -> directed ? direct(Reason.DIRECTED, requiresProxy(target)) : new Refuse(reason);
            case NEVER -> new Refuse(reason);
        };
    }

    boolean requiresProxy(ProxyTarget target) {
        return exchanges.getOrDefault(target.exchange(), defaults).requireProxy();
    }

    /** The exchange that claims a host; the closest pattern wins. */
    @Nullable
    ExchangeId exchangeOf(String host) {
        HostPattern.Host wanted = new HostPattern.Host(host);
        ExchangeId exact = byName.get(wanted.name());
        if (exact != null) {
            return exact;
        }
        for (Claim claim : claims) {
            if (claim.pattern().matches(wanted)) {
                return claim.exchange();
            }
        }
        return null;
    }

    /**
     * What is more likely a mistake than meant: a file that is cut off, empty or missing must not open a way round the proxies.
     *
     * @param before the routes in force
     * @param askedBefore whether a proxy service is asked for an exchange, before
     * @param asked the same now
     * @return what has a proxy and would connect directly without a word about itself
     */
    List<SettingsProblem> forgotten(RouteTable before, Predicate<ExchangeId> askedBefore, Predicate<ExchangeId> asked) {
        List<SettingsProblem> problems = new ArrayList<>();
        for (ConnectionType type : ConnectionType.values()) {
            verifyDefault(before, type, problems);
            Stream.concat(before.exchanges.keySet().stream(), exchanges.keySet().stream())
                    .distinct()
                    .filter(id -> isForgotten(before, id, type, askedBefore, asked))
                    .forEach(id -> problems.add(forgotten(ProxySettings.property(id, type))));
        }
        verifyNoProxy(before, askedBefore, problems);
        return problems;
    }

    /** Whoever empties a list by mistake would lose a pool that serves; to remove it the whole entry has to go. */
    List<SettingsProblem> emptiedBy(ProxySettings next) {
        List<SettingsProblem> problems = new ArrayList<>();
        for (ConnectionType type : ConnectionType.values()) {
            if (defaultPools.containsKey(type) && isEmptied(next.defaults().entry(type))) {
                problems.add(emptied(ProxySettings.property(ExchangeId.DEFAULT, type)));
            }
            exchanges.forEach((id, routes) -> {
                ExchangeSettings exchange = next.exchanges().get(id);
                if (routes.ownPool(type) != null && exchange != null && isEmptied(exchange.entry(type))) {
                    problems.add(emptied(ProxySettings.property(id, type)));
                }
            });
        }
        return problems;
    }

    /** The default serves exchanges whose names nobody can know here, each inside the share that asks the service or outside. */
    private void verifyDefault(RouteTable before, ConnectionType type, List<SettingsProblem> problems) {
        int percent = percentThatAsks(settings);
        if (percent == 100 || !connectsDirectly(ExchangeId.DEFAULT, type, id -> false)) {
            return;
        }
        if (before.isKeptFromDirect(ExchangeId.DEFAULT, type, id -> false)) {
            problems.add(forgotten(ProxySettings.property(ExchangeId.DEFAULT, type)));
        } else if (percent < percentThatAsks(before.settings)) {
            problems.add(new SettingsProblem(
                    "proxy.external-service.rollout-percent",
                    "is lowered, or the service switched off, and exchanges that have asked it would connect directly; give"
                            + " proxy.default." + type.id() + " a proxy, or say direct: true there if that is meant",
                    null));
        }
    }

    private static int percentThatAsks(ProxySettings settings) {
        return settings.externalService().enabled() ? settings.externalService().rolloutPercent() : 0;
    }

    private boolean isForgotten(
            RouteTable before,
            ExchangeId id,
            ConnectionType type,
            Predicate<ExchangeId> askedBefore,
            Predicate<ExchangeId> asked) {
        boolean kept = before.isKeptFromDirect(id, type, askedBefore);
        boolean direct = connectsDirectly(id, type, asked);
        if (kept && direct) { // also if it has another name now: clients may name it
            return true;
        }
        boolean losesHosts = kept
                && before.claims.stream()
                        .filter(claim -> claim.exchange().equals(id))
                        .flatMap(claim -> claimants(claim.pattern()))
                        .anyMatch(claimant -> connectsDirectly(claimant, type, asked));
        boolean takesHosts = direct
                && claims.stream()
                        .filter(claim -> claim.exchange().equals(id))
                        .flatMap(claim -> before.claimants(claim.pattern()))
                        .anyMatch(claimant -> before.isKeptFromDirect(claimant, type, askedBefore));
        return losesHosts || takesHosts;
    }

    /**
     * Whose the hosts of a pattern are: those that nobody claims more closely, and, of patterns that overlap in other ways, one of them as a sample.
     */
    private Stream<ExchangeId> claimants(HostPattern pattern) {
        ExchangeId same = byPattern.get(pattern);
        if (same != null) {
            return Stream.of(same);
        }
        ExchangeId widely = claims.stream() // the closest come first
                .filter(claim -> claim.pattern().includes(pattern))
                .map(Claim::exchange)
                .findFirst()
                .orElse(ExchangeId.UNMATCHED);
        ExchangeId sample = exchangeOf(anyHostOf(pattern));
        return Stream.of(widely, sample == null ? ExchangeId.UNMATCHED : sample);
    }

    /** A pattern that was cut short can match far more than before: all hosts of an exchange, or all there are. */
    private void verifyNoProxy(RouteTable before, Predicate<ExchangeId> askedBefore, List<SettingsProblem> problems) {
        List<HostPattern> added = settings.noProxy().stream()
                .filter(pattern -> !before.settings.noProxy().contains(pattern))
                .toList();
        if (added.isEmpty()) {
            return;
        }
        for (ConnectionType type : ConnectionType.values()) {
            Stream<String> everybody = Stream.of(ANY_NAME)
                    .filter(host -> before.isKeptFromDirect(ExchangeId.UNMATCHED, type, askedBefore));
            Stream<String> claimed = before.claims.stream()
                    .filter(claim -> before.isKeptFromDirect(claim.exchange(), type, askedBefore))
                    .map(claim -> anyHostOf(claim.pattern()));
            Stream.concat(everybody, claimed)
                    .filter(host -> added.stream().anyMatch(pattern -> pattern.matches(host)))
                    .filter(host -> before.settings.noProxy().stream().noneMatch(pattern -> pattern.matches(host)))
                    .filter(host -> isExemptFromItsProxy(host, type))
                    .findFirst()
                    .ifPresent(host -> problems.add(new SettingsProblem(
                            "proxy.no-proxy",
                            "would have " + (host.equals(ANY_NAME) ? "all hosts" : "hosts such as " + shown(host))
                                    + " connect directly (" + type.id()
                                    + "), which go through a proxy now; say direct: true for"
                                    + " their exchange if that is meant, or restart the application",
                            null)));
        }
    }

    private static String shown(String host) {
        return new ProxyTarget(ExchangeId.UNMATCHED, ConnectionType.HTTP, host, 443).shownHost();
    }

    /** By no-proxy, and not because its exchange says so itself. */
    private boolean isExemptFromItsProxy(String host, ConnectionType type) {
        ExchangeId claimant = exchangeOf(host);
        ExchangeId owner = claimant == null ? ExchangeId.UNMATCHED : claimant;
        ExchangeSettings exchange = settings.exchanges().get(owner);
        ProxyEntry own = exchange == null ? null : exchange.entry(type);
        return (own == null || !own.direct())
                && route(new ProxyTarget(owner, type, host, 443)) instanceof Route.Exempt exempt
                && exempt.decision() instanceof Direct;
    }

    private static String anyHostOf(HostPattern pattern) {
        String text = pattern.toString().replace('*', 'x');
        int slash = text.indexOf('/'); // of a range of addresses, whose first one it is
        return text.startsWith(".") ? "x" + text : slash < 0 ? text : text.substring(0, slash);
    }

    /** Whether it has a proxy, or is refused rather than connected directly. */
    private boolean isKeptFromDirect(ExchangeId id, ConnectionType type, Predicate<ExchangeId> asked) {
        Route route = route(ProxyTarget.of(id, type));
        boolean exempt = route instanceof Route.Exempt given && given.decision() instanceof Direct;
        boolean direct = route instanceof Route.Fixed fixed && fixed.decision() instanceof Direct && !asked.test(id);
        return !exempt && !direct;
    }

    /** Whether it connects directly, and its own entry does not say that it is to. */
    private boolean connectsDirectly(ExchangeId id, ConnectionType type, Predicate<ExchangeId> asked) {
        ExchangeSettings exchange = settings.exchanges().get(id);
        ProxyEntry own = id.equals(ExchangeId.DEFAULT)
                ? settings.defaults().entry(type)
                : exchange == null ? null : exchange.entry(type);
        if (own != null && own.direct()) {
            return false;
        }
        Route route = route(ProxyTarget.of(id, type));
        return route instanceof Route.Exempt exempt
                ? exempt.decision() instanceof Direct
                : route instanceof Route.Fixed fixed && fixed.decision() instanceof Direct && !asked.test(id);
    }

    private static SettingsProblem forgotten(String property) {
        return new SettingsProblem(
                property,
                "has had a proxy, and would connect directly; say direct: true for it if that is meant, or restart"
                        + " the application without it",
                null);
    }

    private static boolean isEmptied(@Nullable ProxyEntry entry) {
        return entry != null && entry.pool() != null && !Boolean.FALSE.equals(entry.poolEnabled()) && !entry.usesPool();
    }

    private static SettingsProblem emptied(String property) {
        return new SettingsProblem(
                property + ".pool",
                "would leave a pool that is in use without any enabled proxy; remove the entry if that is meant",
                null);
    }

    /** Puts the settings in force for the pools that were taken over. Cannot fail. */
    void reconfigurePools() {
        reconfigurations.values().forEach(Runnable::run);
    }

    private boolean isTakenOver(ProxyPool pool) {
        return reconfigurations.containsKey(pool);
    }

    private Routes routes(ExchangeId id, @Nullable ExchangeSettings exchange, @Nullable Routes before) {
        boolean requireProxy = exchange != null && exchange.requireProxy();
        Map<ConnectionType, Route> byType = new EnumMap<>(ConnectionType.class);
        for (ConnectionType type : ConnectionType.values()) {
            ProxyPool known = before == null ? null : before.ownPool(type);
            byType.put(type, route(id, exchange == null ? null : exchange.entry(type), type, requireProxy, known));
        }
        return new Routes(byType, requireProxy);
    }

    private Route route(
            ExchangeId id,
            @Nullable ProxyEntry own,
            ConnectionType type,
            boolean requireProxy,
            @Nullable ProxyPool known) {
        boolean inherits = own == null || own.inherits();
        ProxyEntry entry = inherits ? settings.defaults().entry(type) : own;
        Source source = inherits ? Source.DEFAULT : Source.EXCHANGE;
        if (entry == null || entry.inherits()) {
            return new Route.Fixed(direct(Reason.NOT_CONFIGURED, requireProxy));
        }
        if (entry.direct()) {
            return new Route.Fixed(direct(Reason.CONFIGURED, requireProxy));
        }
        PoolMember member = entry.single();
        if (member == null) {
            ProxyPool pool =
                    inherits ? Objects.requireNonNull(defaultPools.get(type)) : pool(id.toString(), type, entry, known);
            return new Route.Pooled(pool, source, pool.version() + (isTakenOver(pool) ? 1 : 0));
        }
        // a lone timeout in an entry that inherits says how long the inherited proxy may take
        Integer ownTimeout = inherits && own != null ? own.timeoutSeconds() : null;
        Integer seconds = firstNonNull(ownTimeout, member.timeoutSeconds(), entry.timeoutSeconds());
        return new Route.Fixed(new UseProxy(
                member.url(),
                seconds == null ? ProxyEntry.DEFAULT_TIMEOUT : Duration.ofSeconds(seconds),
                firstNonNull(member.sslBundle(), entry.sslBundle()),
                source));
    }

    private ProxyPool pool(String owner, ConnectionType type, ProxyEntry entry, @Nullable ProxyPool known) {
        if (known != null) {
            reconfigurations.put(known, known.prepare(entry, strategies));
            return known;
        }
        return new ProxyPool(owner + "/" + type.id(), entry, strategies);
    }

    private static ProxyDecision direct(Reason reason, boolean requireProxy) {
        return requireProxy ? new Refuse(REFUSED.formatted(reason.text())) : new Direct(reason);
    }

    @SafeVarargs
    private static <T> @Nullable T firstNonNull(@Nullable T... values) {
        for (T value : values) {
            if (value != null) {
                return value;
            }
        }
        return null;
    }
}
