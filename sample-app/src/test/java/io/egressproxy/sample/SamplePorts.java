package io.egressproxy.sample;

import java.util.List;
import org.springframework.test.context.DynamicPropertyRegistry;
import org.springframework.test.util.TestSocketUtils;

/** Ports that are free, for all that the sample listens on but its own web server. */
public final class SamplePorts {
    private static final List<String> PROPERTIES = List.of(
            "sample.local-exchange.port",
            "sample.local-proxies.socks5-port",
            "sample.local-proxies.http-port",
            "sample.local-proxies.second-socks5-port",
            "sample.local-proxies.leased-socks5-port",
            "sample.local-proxy-service.port");

    private SamplePorts() {}

    /** As properties of a test's application. */
    public static void register(DynamicPropertyRegistry registry) {
        for (String property : PROPERTIES) {
            int free = TestSocketUtils.findAvailableTcpPort();
            registry.add(property, () -> free);
        }
    }

    /** As arguments of a process. */
    static List<String> arguments() {
        return PROPERTIES.stream()
                .map(property -> "--" + property + "=" + TestSocketUtils.findAvailableTcpPort())
                .toList();
    }
}
