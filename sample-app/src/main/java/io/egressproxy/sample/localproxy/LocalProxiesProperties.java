package io.egressproxy.sample.localproxy;

import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;

/**
 * Where the local proxies listen and who may use the SOCKS5 one.
 *
 * @param httpPort port of the HTTP proxy, 0 for any
 * @param socks5Port port of the SOCKS5 proxy, 0 for any
 * @param socks5Credentials what the SOCKS5 proxy demands
 */
@ConfigurationProperties("sample.local-proxies")
record LocalProxiesProperties(
        @DefaultValue("13128") int httpPort,
        @DefaultValue("11080") int socks5Port,
        @DefaultValue Credentials socks5Credentials) {}
