package io.egressproxy.autoconfigure;

import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.UnaryOperator;
import org.springframework.boot.SpringBootVersion;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.AutoConfigurations;
import org.springframework.boot.context.annotation.ImportCandidates;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;
import org.springframework.context.ApplicationContext;
import org.springframework.test.util.ReflectionTestUtils;
import org.springframework.util.ClassUtils;
import org.springframework.web.client.RestTemplate;

/** What has another name in each generation of Spring Boot, by the name that it has in the one that the tests run on. */
final class SpringBoot {
    static final boolean FIRST =
            Objects.requireNonNull(SpringBootVersion.getVersion()).startsWith("3.");

    /** The clients that are configured by themselves, and what they are routed by. */
    static final String[] REACTIVE_CLIENTS = and(
            FIRST
                    ? new String[] {
                        "Boot3HttpClientAutoConfiguration", "http.client.reactive.ClientHttpConnectorAutoConfiguration"
                    }
                    : new String[] {
                        "Boot4HttpClientAutoConfiguration",
                        "HttpClientAutoConfiguration",
                        "ReactiveHttpClientAutoConfiguration"
                    },
            "EgressProxyAutoConfiguration",
            "CodecsAutoConfiguration",
            "WebClientAutoConfiguration");

    static final String[] BLOCKING_CLIENTS = and(
            FIRST
                    ? new String[] {"HttpClientAutoConfiguration"}
                    : new String[] {"HttpClientAutoConfiguration", "ImperativeHttpClientAutoConfiguration"},
            "HttpMessageConvertersAutoConfiguration",
            "RestClientAutoConfiguration",
            "RestTemplateAutoConfiguration");

    /** By Brave with the first generation, by OpenTelemetry with the second. */
    static final String[] TRACING = FIRST
            ? new String[] {
                "ObservationAutoConfiguration", "MicrometerTracingAutoConfiguration", "BraveAutoConfiguration"
            }
            : new String[] {
                "ObservationAutoConfiguration",
                "MicrometerTracingAutoConfiguration",
                "OpenTelemetrySdkAutoConfiguration",
                "OpenTelemetryTracingAutoConfiguration"
            };

    static final String HEALTH = FIRST ? "Boot3HealthAutoConfiguration" : "Boot4HealthAutoConfiguration";

    static final String BLOCKING_TRANSPORT =
            FIRST ? "spring.http.client.factory" : "spring.http.clients.imperative.factory";
    static final String REACTIVE_TRANSPORT =
            FIRST ? "spring.http.reactiveclient.connector" : "spring.http.clients.reactive.connector";
    static final String BLOCKING_REDIRECTS = FIRST ? "spring.http.client.redirects" : "spring.http.clients.redirects";
    static final String REACTIVE_REDIRECTS =
            FIRST ? "spring.http.reactiveclient.redirects" : "spring.http.clients.redirects";
    static final String BLOCKING_BUNDLE = FIRST ? "spring.http.client.ssl.bundle" : "spring.http.clients.ssl.bundle";
    static final String REACTIVE_BUNDLE =
            FIRST ? "spring.http.reactiveclient.ssl.bundle" : "spring.http.clients.ssl.bundle";

    static final Class<?> WEB_CLIENT_CUSTOMIZER =
            type("web.reactive.function.client.WebClientCustomizer", "webclient.WebClientCustomizer");
    static final Class<?> REST_CLIENT_CUSTOMIZER =
            type("web.client.RestClientCustomizer", "restclient.RestClientCustomizer");
    static final Class<?> REST_TEMPLATE_CUSTOMIZER =
            type("web.client.RestTemplateCustomizer", "restclient.RestTemplateCustomizer");
    static final Class<?> REST_TEMPLATE_BUILDER =
            type("web.client.RestTemplateBuilder", "restclient.RestTemplateBuilder");
    static final Class<?> CONNECTOR_CUSTOMIZER = type(
            "autoconfigure.http.client.reactive.ClientHttpConnectorBuilderCustomizer",
            "http.client.autoconfigure.reactive.ClientHttpConnectorBuilderCustomizer");
    static final Class<?> REQUEST_FACTORY_CUSTOMIZER = type(
            "autoconfigure.http.client.ClientHttpRequestFactoryBuilderCustomizer",
            "http.client.autoconfigure.ClientHttpRequestFactoryBuilderCustomizer");

    private static final List<String> ALL = ImportCandidates.load(
                    AutoConfiguration.class, SpringBoot.class.getClassLoader())
            .getCandidates();

    private SpringBoot() {}

    private static Class<?> type(String first, String second) {
        return ClassUtils.resolveClassName("org.springframework.boot." + (FIRST ? first : second), null);
    }

    /**
     * Auto-configurations, wherever this generation has them.
     *
     * @param names without their packages
     */
    static AutoConfigurations autoConfigurations(String... names) {
        return AutoConfigurations.of(
                Arrays.stream(names).map(SpringBoot::autoConfiguration).toArray(Class<?>[]::new));
    }

    private static Class<?> autoConfiguration(String name) {
        List<String> found =
                ALL.stream().filter(candidate -> candidate.endsWith("." + name)).toList();
        if (found.size() != 1) {
            throw new IllegalArgumentException("Spring Boot " + SpringBootVersion.getVersion() + " has " + found
                    + " for the auto-configuration " + name);
        }
        return ClassUtils.resolveClassName(found.get(0), null);
    }

    static String[] and(String[] some, String... others) {
        List<String> all = new ArrayList<>(List.of(some));
        all.addAll(List.of(others));
        return all.toArray(String[]::new);
    }

    /**
     * With a customizer of the application's own.
     *
     * @param type which kind, of those that have one method with one argument
     * @param customizer what it does with that; its result is given back
     */
    @SuppressWarnings("unchecked")
    static ApplicationContextRunner with(
            ApplicationContextRunner application, Class<?> type, UnaryOperator<Object> customizer) {
        return application.withBean((Class<Object>) type, () -> customizer(type, customizer));
    }

    /** Such a customizer. */
    static Object customizer(Class<?> type, UnaryOperator<Object> customizer) {
        return Proxy.newProxyInstance(type.getClassLoader(), new Class<?>[] {type}, (self, method, arguments) -> {
            switch (method.getName()) {
                case "customize":
                    Object result = customizer.apply(arguments[0]);
                    return method.getReturnType() == void.class ? null : result;
                case "equals":
                    return self == arguments[0];
                case "hashCode":
                    return System.identityHashCode(self);
                default:
                    return type.getSimpleName();
            }
        });
    }

    static RestTemplate restTemplate(ApplicationContext context) {
        return Objects.requireNonNull(
                ReflectionTestUtils.invokeMethod(context.getBean(REST_TEMPLATE_BUILDER), "build"));
    }

    /**
     * What actuator says of a component.
     *
     * @param status for example {@code UP}
     * @param details as they are
     */
    record Health(String status, Map<String, Object> details) {}

    /** What our indicator says now. */
    static Health health(ApplicationContext context) {
        Object health = Objects.requireNonNull(
                ReflectionTestUtils.invokeMethod(context.getBean("proxyHealthIndicator"), "health"));
        Map<String, Object> details = ReflectionTestUtils.invokeMethod(health, "getDetails");
        return new Health(
                String.valueOf(ReflectionTestUtils.<Object>invokeMethod(health, "getStatus")),
                Objects.requireNonNull(details));
    }
}
