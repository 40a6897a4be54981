package io.egressproxy.examples;

import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.http.HttpStatus;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestHeader;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.server.ResponseStatusException;

@RestController
class MinimalProxyService {
    private static final Logger log = LoggerFactory.getLogger(MinimalProxyService.class);

    record Proxy(String id, String url) {}

    record ProxyRequest(@JsonProperty("exchange_id") String exchange, Map<String, Object> metadata) {}

    record Answer(
            @JsonProperty("proxy_url") String url,
            @JsonProperty("ttl_seconds") int seconds,
            @JsonProperty("fallback_policy") String fallback,
            Map<String, Object> metadata) {}

    record Report(@JsonProperty("proxy_id") String proxy, boolean success, String event) {}

    record Batch(@JsonProperty("batch_id") String id, List<Report> reports) {}

    private final List<Proxy> proxies;
    private final String token;
    private final AtomicInteger turn = new AtomicInteger();

    MinimalProxyService(List<Proxy> proxies, String token) {
        this.proxies = proxies;
        this.token = token;
    }

    @GetMapping("/health")
    void health() {}

    @PostMapping("/api/v1/proxy/request")
    Answer give(
            @RequestHeader(name = "Authorization", required = false) String authorization,
            @RequestBody ProxyRequest request) {
        verify(authorization);
        Object excluded = request.metadata() == null ? null : request.metadata().get("exclude"); // have just failed
        List<Proxy> left = proxies.stream()
                .filter(proxy -> !(excluded instanceof List<?> failed && failed.contains(proxy.id())))
                .toList();
        if (left.isEmpty()) {
            return new Answer(null, 60, "embedded_fallback", Map.of()); // have them use their own
        }
        Proxy next = left.get(Math.floorMod(turn.getAndIncrement(), left.size()));
        return new Answer(next.url(), 300, "embedded_fallback", Map.of("proxy_id", next.id()));
    }

    @PostMapping("/api/v1/proxy/feedback/batch")
    Map<String, Object> note(
            @RequestHeader(name = "Authorization", required = false) String authorization, @RequestBody Batch batch) {
        verify(authorization);
        for (Report report : batch.reports()) {
            log.info(
                    "{}: {}",
                    report.proxy(),
                    report.event() != null ? report.event() : report.success() ? "worked" : "failed");
        }
        return Map.of(); // or {"invalidate": ["proxy-2"]}: have all forget it
    }

    private void verify(String authorization) {
        if (!("Bearer " + token).equals(authorization)) {
            throw new ResponseStatusException(HttpStatus.UNAUTHORIZED); // and not 400, by which nobody else is asked
        }
    }
}
