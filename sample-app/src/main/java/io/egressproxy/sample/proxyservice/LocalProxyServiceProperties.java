package io.egressproxy.sample.proxyservice;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;

/**
 * What the local proxy service knows.
 *
 * @param port the port on 127.0.0.1, 0 for any
 * @param token what it wants to be shown
 * @param timeToLive how long its answers hold, in whole seconds
 * @param proxies its proxies, by exchange
 */
@ConfigurationProperties("sample.local-proxy-service")
record LocalProxyServiceProperties(
        @DefaultValue("19080") int port,
        @DefaultValue("") String token,
        @DefaultValue("5s") Duration timeToLive,
        @DefaultValue Map<String, List<Offer>> proxies) {

    /**
     * A proxy that it gives.
     *
     * @param id its name
     * @param url with credentials
     */
    record Offer(String id, String url) {
        @Override
        public String toString() {
            return id; // the URL holds credentials
        }
    }

    @Override
    public String toString() {
        return "port " + port + ", " + proxies; // without the token
    }
}
