package io.egressproxy.endtoend;

import io.egressproxy.ProxySelectionStrategy;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.springframework.boot.SpringBootConfiguration;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.boot.context.annotation.ImportCandidates;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.context.annotation.Bean;

/** Applications as users have them: all of the starter and its auto-configuration, with actuator and a Prometheus registry, and no web server. */
final class Applications {
    private Applications() {}

    /** With the clients that it asks for, and a strategy that always takes the first. */
    @SpringBootConfiguration(proxyBeanMethods = false)
    @EnableAutoConfiguration
    static class Application {
        @Bean
        ProxySelectionStrategy first() {
            return (candidates, target) -> 0;
        }
    }

    static ConfigurableApplicationContext start(Map<String, Object> properties) {
        return builder(properties).run();
    }

    /** The same application and jars without the library's auto-configuration, and without what listens to the start. */
    static ConfigurableApplicationContext startWithoutLibrary(Map<String, Object> properties) {
        Map<String, Object> all = new LinkedHashMap<>(properties);
        all.put("spring.autoconfigure.exclude", String.join(",", ours()));
        SpringApplicationBuilder builder = builder(all);
        builder.application()
                .setListeners(builder.application().getListeners().stream()
                        .filter(listener -> !listener.getClass().getName().startsWith("io.egressproxy."))
                        .toList());
        return builder.run();
    }

    private static SpringApplicationBuilder builder(Map<String, Object> properties) {
        Map<String, Object> all = new LinkedHashMap<>(properties);
        all.putIfAbsent("spring.main.banner-mode", "off");
        all.putIfAbsent("logging.level.root", "error");
        return new SpringApplicationBuilder(Application.class)
                .web(WebApplicationType.NONE)
                .properties(all);
    }

    private static List<String> ours() {
        ImportCandidates all = ImportCandidates.load(AutoConfiguration.class, Applications.class.getClassLoader());
        return StreamSupport.stream(all.spliterator(), false)
                .filter(name -> name.startsWith("io.egressproxy."))
                .toList();
    }

    /** Beans of the library that Spring's clients are built with: whatever implements one of Spring Boot's interfaces for that. */
    static List<String> inTheRequestPath(ConfigurableApplicationContext context) {
        return Arrays.stream(context.getBeanDefinitionNames())
                .filter(name -> {
                    Class<?> type = context.getType(name);
                    return type != null
                            && type.getName().startsWith("io.egressproxy.")
                            && !type.getName().startsWith("io.egressproxy.endtoend.")
                            && Stream.of(type.getInterfaces())
                                    .anyMatch(implemented ->
                                            implemented.getName().matches("org[.]springframework[.]boot[.].*client.*"));
                })
                .collect(Collectors.toList());
    }
}
