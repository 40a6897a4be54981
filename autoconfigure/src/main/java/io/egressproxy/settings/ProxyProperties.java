package io.egressproxy.settings;

import java.util.List;
import java.util.Map;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.NestedConfigurationProperty;
import org.springframework.boot.context.properties.bind.DefaultValue;
import org.springframework.boot.context.properties.bind.Name;

/**
 * The {@code proxy.*} tree as it is written; {@link ProxySettings} is what it means. Never a bean: {@link
 * ProxySettingsBinder} binds it from translated sources, which Spring Boot's own binding would not see.
 *
 * @param enabled Whether connections are routed through proxies at all.
 * @param directFallback When a connection that has no usable proxy may be made without one.
 * @param unmatchedHosts What a transparent client does for a host that no exchange claims.
 * @param noProxy Comma-separated list of hosts that never go through a proxy; host, .suffix, *.glob or CIDR.
 * @param transparent Whether the auto-configured WebClient, RestClient and RestTemplate builders are routed.
 * @param defaults What every exchange without an entry of its own uses.
 * @param exchanges What each exchange does otherwise, by its id.
 * @param externalService Service that is asked for proxies.
 * @param reload How changes take effect while the application runs.
 */
@ConfigurationProperties("proxy")
record ProxyProperties(
        @DefaultValue("false") boolean enabled,
        @DefaultValue("when_directed") DirectFallback directFallback,
        @DefaultValue("default") UnmatchedHosts unmatchedHosts,
        @DefaultValue({"localhost", "127.0.0.0/8", "::1"}) List<HostPattern> noProxy,
        @DefaultValue("true") boolean transparent,
        @Name("default") @NestedConfigurationProperty @DefaultValue ConnectionProxies defaults,
        @DefaultValue Map<String, ExchangeSettings> exchanges,
        @NestedConfigurationProperty @DefaultValue ExternalServiceSettings externalService,
        @NestedConfigurationProperty @DefaultValue ReloadSettings reload) {

    static final String PREFIX = "proxy";
}
