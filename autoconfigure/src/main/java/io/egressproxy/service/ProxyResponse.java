package io.egressproxy.service;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What the service answers. Fields that are not known are ignored, so that a newer service can talk to an older client.
 *
 * @param proxyUrl the proxy with its credentials, or null if there is none
 * @param strategy how the service chose it; not interpreted
 * @param ttlSeconds how long the answer holds, or null for what the settings say
 * @param fallbackPolicy what to do when this proxy fails or there is none: {@code embedded_fallback} or
 *     {@code direct_connection}; null and anything else count as the former
 * @param metadata {@code proxy_id} names the proxy in feedback and exclusions; the rest is not interpreted
 */
@JsonIgnoreProperties(ignoreUnknown = true)
@JsonInclude(JsonInclude.Include.NON_NULL)
public record ProxyResponse(
        @JsonProperty("proxy_url") @Nullable String proxyUrl,
        @JsonProperty("strategy") @Nullable String strategy,
        @JsonProperty("ttl_seconds") @Nullable Long ttlSeconds,
        @JsonProperty("fallback_policy") @Nullable String fallbackPolicy,
        @JsonProperty("metadata") @Nullable Map<String, Object> metadata) {

    /** A response whose metadata is copied. */
    public ProxyResponse {
        // not Map.copyOf: JSON may hold nulls
        metadata = metadata == null ? null : Collections.unmodifiableMap(new LinkedHashMap<>(metadata));
    }

    /**
     * The service's own name for the proxy.
     *
     * @return {@code metadata.proxy_id}, or null
     */
    public @Nullable String proxyId() {
        Object id = metadata == null ? null : metadata.get("proxy_id");
        return id == null ? null : id.toString();
    }

    /** Without the URL, which holds credentials. */
    @Override
    public String toString() {
        return "ProxyResponse[proxy=" + (proxyUrl == null ? "none" : "***") + ", ttl=" + ttlSeconds + "]";
    }
}
