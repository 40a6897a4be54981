package io.egressproxy.sample.page;

import io.egressproxy.actuate.ProxiesEndpoint;
import java.util.LinkedHashMap;
import java.util.Map;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.stereotype.Component;

/** What {@code /actuator/proxies} reports, without the settings, which do not change by themselves. */
@Component
final class ProxyReport implements PagePart {

    private final ObjectProvider<ProxiesEndpoint> endpoint;

    ProxyReport(ObjectProvider<ProxiesEndpoint> endpoint) {
        this.endpoint = endpoint;
    }

    @Override
    public String name() {
        return "proxying";
    }

    @Override
    public Map<String, Object> view() {
        ProxiesEndpoint available = endpoint.getIfAvailable();
        if (available == null) {
            return Map.of();
        }
        Map<String, Object> report = new LinkedHashMap<>(available.proxies());
        report.remove("settings");
        return report;
    }
}
