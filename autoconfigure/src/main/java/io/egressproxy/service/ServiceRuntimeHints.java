package io.egressproxy.service;

import org.jspecify.annotations.Nullable;
import org.springframework.aot.hint.BindingReflectionHintsRegistrar;
import org.springframework.aot.hint.RuntimeHints;
import org.springframework.aot.hint.RuntimeHintsRegistrar;

/** What becomes JSON, and comes from it, by reflection. */
final class ServiceRuntimeHints implements RuntimeHintsRegistrar {
    @Override
    public void registerHints(RuntimeHints hints, @Nullable ClassLoader classLoader) {
        new BindingReflectionHintsRegistrar()
                .registerReflectionHints(
                        hints.reflection(),
                        ProxyRequest.class,
                        ProxyResponse.class,
                        ProxyFeedback.class,
                        ProxyFeedbackBatch.class,
                        FeedbackReply.class);
        for (String lookedUpByName : new String[] {
            "com.fasterxml.jackson.databind.ObjectMapper",
            "tools.jackson.databind.ObjectMapper",
            "io.github.resilience4j.circuitbreaker.CircuitBreaker"
        }) {
            hints.reflection().registerTypeIfPresent(classLoader, lookedUpByName, type -> {});
        }
    }
}
