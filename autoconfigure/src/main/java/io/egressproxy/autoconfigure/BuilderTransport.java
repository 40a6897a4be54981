package io.egressproxy.autoconfigure;

import java.lang.reflect.Field;
import org.jspecify.annotations.Nullable;
import org.springframework.aot.hint.RuntimeHints;
import org.springframework.aot.hint.RuntimeHintsRegistrar;
import org.springframework.util.ReflectionUtils;

/**
 * What a builder of Spring's will connect with, and what that is built on. Neither shows it, but a customizer of the application's own may have
 * given a builder a transport that cannot be routed, and then nothing else would notice; so this looks into them.
 *
 * @param visible whether there is such a field: builders of other kinds have none
 * @param value what it holds
 */
record BuilderTransport(boolean visible, @Nullable Object value) {

    /**
     * What a field holds.
     *
     * @param owner the builder or the transport
     * @param field the name of the field in Spring's own implementation
     */
    static BuilderTransport of(Object owner, String field) {
        Field found = ReflectionUtils.findField(owner.getClass(), field);
        if (found == null) {
            return new BuilderTransport(false, null);
        }
        try {
            ReflectionUtils.makeAccessible(found);
            return new BuilderTransport(true, ReflectionUtils.getField(found, owner));
        } catch (RuntimeException hidden) { // by modules
            return new BuilderTransport(false, null);
        }
    }

    /** So that native images find the fields. */
    static final class Hints implements RuntimeHintsRegistrar {
        @Override
        public void registerHints(RuntimeHints hints, @Nullable ClassLoader classLoader) {
            String webClient = "org.springframework.web.reactive.function.client.DefaultWebClientBuilder";
            field(hints, classLoader, webClient, "connector");
            field(hints, classLoader, webClient, "exchangeFunction");
            field(hints, classLoader, "org.springframework.web.client.DefaultRestClientBuilder", "requestFactory");
            for (String transport : new String[] {
                "reactive.ReactorClientHttpConnector",
                "reactive.JdkClientHttpConnector",
                "ReactorClientHttpRequestFactory",
                "JdkClientHttpRequestFactory"
            }) {
                field(hints, classLoader, "org.springframework.http.client." + transport, "httpClient");
            }
        }

        private static void field(RuntimeHints hints, @Nullable ClassLoader classLoader, String type, String field) {
            hints.reflection().registerTypeIfPresent(classLoader, type, hint -> hint.withField(field));
        }
    }
}
