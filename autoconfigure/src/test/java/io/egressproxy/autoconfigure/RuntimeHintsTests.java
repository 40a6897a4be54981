package io.egressproxy.autoconfigure;

import static org.assertj.core.api.Assertions.assertThat;

import io.egressproxy.service.ProxyFeedback;
import io.egressproxy.service.ProxyFeedbackBatch;
import io.egressproxy.service.ProxyRequest;
import io.egressproxy.service.ProxyResponse;
import io.egressproxy.settings.ProxySettings;
import java.lang.reflect.Constructor;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.aot.hint.FieldHint;
import org.springframework.aot.hint.RuntimeHints;
import org.springframework.aot.hint.RuntimeHintsRegistrar;
import org.springframework.aot.hint.TypeReference;
import org.springframework.aot.hint.predicate.RuntimeHintsPredicates;
import org.springframework.core.io.support.SpringFactoriesLoader;
import reactor.netty.transport.ClientTransportConfig;

/** What a native image has to be told of. */
@Tag("smoke")
class RuntimeHintsTests {
    private final RuntimeHints hints = new RuntimeHints();

    RuntimeHintsTests() {
        ClassLoader classLoader = RuntimeHintsTests.class.getClassLoader();
        SpringFactoriesLoader.forResourceLocation("META-INF/spring/aot.factories", classLoader)
                .load(RuntimeHintsRegistrar.class)
                .stream()
                .filter(registrar -> registrar.getClass().getName().startsWith("io.egressproxy."))
                .forEach(registrar -> registrar.registerHints(hints, classLoader));
    }

    /** Every record below a type: what is bound as a value object, and read by its accessors. */
    private static Set<Class<?>> records(Class<?> type) {
        Set<Class<?>> found = new LinkedHashSet<>();
        collect(type, found);
        return found;
    }

    private static void collect(Type type, Set<Class<?>> found) {
        if (type instanceof ParameterizedType generic) {
            Stream.of(generic.getActualTypeArguments()).forEach(argument -> collect(argument, found));
        } else if (type instanceof Class<?> record && record.isRecord() && found.add(record)) {
            Arrays.stream(record.getRecordComponents())
                    .forEach(component -> collect(component.getGenericType(), found));
        }
    }

    @Test
    void theWholeTreeOfSettingsIsBoundAndShown() {
        Set<Class<?>> records = records(ProxySettings.class);
        assertThat(records).hasSizeGreaterThan(12);
        for (Class<?> record : records) {
            Constructor<?> constructor = record.getDeclaredConstructors()[0];
            assertThat(RuntimeHintsPredicates.reflection()
                            .onConstructor(constructor)
                            .invoke())
                    .as(record.getName())
                    .accepts(hints);
            for (RecordComponent component : record.getRecordComponents()) {
                assertThat(RuntimeHintsPredicates.reflection()
                                .onMethod(component.getAccessor())
                                .invoke())
                        .as("%s.%s", record.getName(), component.getName())
                        .accepts(hints);
            }
        }
    }

    @Test
    void whatIsLookedUpByItsNameIsFound() {
        assertThat(RuntimeHintsPredicates.reflection()
                        .onType(TypeReference.of("com.fasterxml.jackson.databind.ObjectMapper")))
                .accepts(hints);
        assertThat(RuntimeHintsPredicates.reflection()
                        .onType(TypeReference.of("io.github.resilience4j.circuitbreaker.CircuitBreaker")))
                .accepts(hints);
        assertThat(hints.reflection().getTypeHint(ClientTransportConfig.class))
                .satisfies(type ->
                        assertThat(type.fields().map(FieldHint::getName)).contains("resolvedAddressesSelector"));
    }

    @ParameterizedTest
    @ValueSource(classes = {ProxyRequest.class, ProxyResponse.class, ProxyFeedback.class, ProxyFeedbackBatch.class})
    void whatGoesOverTheWireIsReadAndWritten(Class<?> wire) {
        assertThat(RuntimeHintsPredicates.reflection().onType(wire)).accepts(hints);
        for (RecordComponent component : wire.getRecordComponents()) {
            assertThat(RuntimeHintsPredicates.reflection()
                            .onMethod(component.getAccessor())
                            .invoke())
                    .accepts(hints);
        }
    }
}
