package io.egressproxy.sample.localproxy;

import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;

/**
 * Where the local proxies listen and who may use the SOCKS5 ones.
 *
 * @param httpPort port of the HTTP proxy, 0 for any
 * @param socks5Port port of the SOCKS5 proxy, 0 for any
 * @param secondSocks5Port port of the second SOCKS5 proxy, 0 for any
 * @param leasedSocks5Port port of the SOCKS5 proxy that the local proxy service gives, 0 for any
 * @param socks5Credentials what the SOCKS5 proxies demand
 */
@ConfigurationProperties("sample.local-proxies")
record LocalProxiesProperties(
        @DefaultValue("13128") int httpPort,
        @DefaultValue("11080") int socks5Port,
        @DefaultValue("11081") int secondSocks5Port,
        @DefaultValue("11082") int leasedSocks5Port,
        @DefaultValue Credentials socks5Credentials) {}
