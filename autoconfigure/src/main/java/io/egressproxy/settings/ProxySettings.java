package io.egressproxy.settings;

import io.egressproxy.ConnectionType;
import io.egressproxy.ExchangeId;
import io.egressproxy.ProxyUrl;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The whole {@code proxy.*} tree, valid and immutable. A bean of this type replaces what is bound from the environment.
 *
 * @param enabled whether any client is touched
 * @param directFallback when a connection without a usable proxy may be made directly
 * @param unmatchedHosts what transparent clients do for hosts that no exchange claims
 * @param noProxy hosts that never go through a proxy
 * @param transparent whether auto-configured clients are routed
 * @param defaults what exchanges without entries of their own use
 * @param exchanges what each exchange does otherwise, in the order written
 * @param externalService the service that is asked for proxies
 * @param reload how changes take effect
 */
public record ProxySettings(
        boolean enabled,
        DirectFallback directFallback,
        UnmatchedHosts unmatchedHosts,
        List<HostPattern> noProxy,
        boolean transparent,
        ConnectionProxies defaults,
        Map<ExchangeId, ExchangeSettings> exchanges,
        ExternalServiceSettings externalService,
        ReloadSettings reload) {

    /**
     * Checks the settings as a whole.
     *
     * @throws InvalidProxySettingsException with everything that is wrong
     */
    public ProxySettings {
        noProxy = List.copyOf(noProxy);
        exchanges = Collections.unmodifiableMap(new LinkedHashMap<>(exchanges));
        List<SettingsProblem> problems = SettingsValidator.problems(defaults, exchanges, externalService, reload);
        if (!problems.isEmpty()) {
            throw new InvalidProxySettingsException(problems);
        }
    }

    /**
     * Where an entry stands.
     *
     * @param id the exchange, or {@link ExchangeId#DEFAULT}
     * @param type the connection type
     * @return for example {@code proxy.exchanges.binance.http}
     */
    public static String property(ExchangeId id, ConnectionType type) {
        String owner = id.equals(ExchangeId.DEFAULT) ? "default" : "exchanges." + SettingsValidator.key(id);
        return "proxy." + owner + "." + type.id();
    }

    /**
     * All entries that say something.
     *
     * @return by the property that they stand under, for example {@code proxy.exchanges.binance.http}
     */
    public Map<String, ProxyEntry> entries() {
        Map<String, ProxyEntry> entries = new LinkedHashMap<>();
        for (ConnectionType type : ConnectionType.values()) {
            put(entries, property(ExchangeId.DEFAULT, type), defaults.entry(type));
            exchanges.forEach((id, exchange) -> put(entries, property(id, type), exchange.entry(type)));
        }
        return entries;
    }

    private static void put(Map<String, ProxyEntry> entries, String property, @Nullable ProxyEntry entry) {
        if (entry != null) {
            entries.put(property, entry);
        }
    }

    /**
     * Settings from code, starting from the defaults with {@code enabled} true.
     *
     * @return a new builder
     */
    public static Builder builder() {
        return new Builder();
    }

    /**
     * A builder that starts from these settings.
     *
     * @return a new builder
     */
    public Builder toBuilder() {
        Builder builder = new Builder();
        builder.enabled = enabled;
        builder.directFallback = directFallback;
        builder.unmatchedHosts = unmatchedHosts;
        builder.noProxy = noProxy;
        builder.transparent = transparent;
        builder.defaults = defaults;
        builder.exchanges.putAll(exchanges);
        builder.externalService = externalService;
        builder.reload = reload;
        return builder;
    }

    /** Builds settings in code. Not thread-safe. */
    public static final class Builder {
        private boolean enabled = true;
        private DirectFallback directFallback = DirectFallback.WHEN_DIRECTED;
        private UnmatchedHosts unmatchedHosts = UnmatchedHosts.DEFAULT;
        private List<HostPattern> noProxy = HostPattern.LOOPBACK;
        private boolean transparent = true;
        private ConnectionProxies defaults = ConnectionProxies.NONE;
        private final Map<ExchangeId, ExchangeSettings> exchanges = new LinkedHashMap<>();
        private ExternalServiceSettings externalService = ExternalServiceSettings.DISABLED;
        private ReloadSettings reload = ReloadSettings.DEFAULTS;

        private Builder() {}

        /**
         * How changes take effect.
         *
         * @param value the settings
         * @return this
         */
        public Builder reload(ReloadSettings value) {
            this.reload = value;
            return this;
        }

        /**
         * Whether any client is touched; true in a new builder.
         *
         * @param value false to switch the library off
         * @return this
         */
        public Builder enabled(boolean value) {
            this.enabled = value;
            return this;
        }

        /**
         * When a connection without a usable proxy may be made directly.
         *
         * @param value the policy
         * @return this
         */
        public Builder directFallback(DirectFallback value) {
            this.directFallback = value;
            return this;
        }

        /**
         * What transparent clients do for hosts that no exchange claims.
         *
         * @param value the policy
         * @return this
         */
        public Builder unmatchedHosts(UnmatchedHosts value) {
            this.unmatchedHosts = value;
            return this;
        }

        /**
         * Hosts that never go through a proxy, in place of the loopback addresses.
         *
         * @param patterns hosts, .suffixes, *.globs or CIDRs; none at all to route loopback, too
         * @return this
         * @throws IllegalArgumentException if one of them has another form
         */
        public Builder noProxy(String... patterns) {
            this.noProxy = Arrays.stream(patterns).map(HostPattern::of).toList();
            return this;
        }

        /**
         * Whether auto-configured clients are routed; true in a new builder.
         *
         * @param value false to route only what goes through {@link io.egressproxy.ProxyInjector}
         * @return this
         */
        public Builder transparent(boolean value) {
            this.transparent = value;
            return this;
        }

        /**
         * What every exchange without an entry of its own uses.
         *
         * @param type the connection type
         * @param entry the entry
         * @return this
         */
        public Builder defaultProxy(ConnectionType type, ProxyEntry entry) {
            this.defaults = type == ConnectionType.HTTP
                    ? new ConnectionProxies(entry, defaults.websocket())
                    : new ConnectionProxies(defaults.http(), entry);
            return this;
        }

        /**
         * What every exchange without an entry of its own uses.
         *
         * @param type the connection type
         * @param url the proxy
         * @return this
         * @throws io.egressproxy.InvalidProxyUrlException if the text is no URL of a proxy
         */
        public Builder defaultProxy(ConnectionType type, String url) {
            return defaultProxy(type, ProxyEntry.of(ProxyUrl.parse(url)));
        }

        /**
         * What one exchange does otherwise.
         *
         * @param exchangeId the exchange
         * @param settings sets what it does
         * @return this
         * @throws IllegalArgumentException if the id has no valid form
         */
        public Builder exchange(String exchangeId, Consumer<ExchangeBuilder> settings) {
            ExchangeBuilder builder = new ExchangeBuilder();
            settings.accept(builder);
            exchanges.put(ExchangeId.of(exchangeId), builder.build());
            return this;
        }

        /**
         * The settings.
         *
         * @return valid settings
         * @throws InvalidProxySettingsException with everything that is wrong
         */
        public ProxySettings build() {
            return new ProxySettings(
                    enabled,
                    directFallback,
                    unmatchedHosts,
                    noProxy,
                    transparent,
                    defaults,
                    exchanges,
                    externalService,
                    reload);
        }
    }

    /** Builds what one exchange does otherwise. Not thread-safe. */
    public static final class ExchangeBuilder {
        private final List<HostPattern> hosts = new ArrayList<>();
        private boolean requireProxy;
        private @Nullable String region;
        private @Nullable ProxyEntry http;
        private @Nullable ProxyEntry websocket;

        private ExchangeBuilder() {}

        /**
         * Hosts by which a transparent client finds the exchange.
         *
         * @param patterns hosts, .suffixes, *.globs or CIDRs
         * @return this
         * @throws IllegalArgumentException if one of them has another form
         */
        public ExchangeBuilder hosts(String... patterns) {
            Arrays.stream(patterns).map(HostPattern::of).forEach(hosts::add);
            return this;
        }

        /**
         * The exchange never connects directly, whatever else is configured.
         *
         * @return this
         */
        public ExchangeBuilder requireProxy() {
            this.requireProxy = true;
            return this;
        }

        /**
         * The region that is sent to the proxy service.
         *
         * @param value the region
         * @return this
         */
        public ExchangeBuilder region(String value) {
            this.region = value;
            return this;
        }

        /**
         * What connections of a type use.
         *
         * @param type the connection type
         * @param entry the entry
         * @return this
         */
        public ExchangeBuilder proxy(ConnectionType type, ProxyEntry entry) {
            if (type == ConnectionType.HTTP) {
                this.http = entry;
            } else {
                this.websocket = entry;
            }
            return this;
        }

        /**
         * The proxy that connections of a type use.
         *
         * @param type the connection type
         * @param url the proxy
         * @return this
         * @throws io.egressproxy.InvalidProxyUrlException if the text is no URL of a proxy
         */
        public ExchangeBuilder proxy(ConnectionType type, String url) {
            return proxy(type, ProxyEntry.of(ProxyUrl.parse(url)));
        }

        private ExchangeSettings build() {
            return new ExchangeSettings(hosts, requireProxy, region, Map.of(), http, websocket);
        }
    }
}
