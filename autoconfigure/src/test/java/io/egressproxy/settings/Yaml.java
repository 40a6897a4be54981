package io.egressproxy.settings;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.springframework.boot.env.YamlPropertySourceLoader;
import org.springframework.core.env.StandardEnvironment;
import org.springframework.core.env.SystemEnvironmentPropertySource;
import org.springframework.core.io.ByteArrayResource;

/** An environment of a configuration file and environment variables, as Spring Boot makes it. */
final class Yaml {
    private Yaml() {}

    static ProxySettings bind(String yaml) {
        return bind(yaml, Map.of());
    }

    static ProxySettings bind(String yaml, Map<String, Object> variables) {
        return ProxySettingsBinder.bind(environment(yaml, variables));
    }

    static StandardEnvironment environment(String yaml, Map<String, Object> variables) {
        StandardEnvironment environment = new StandardEnvironment();
        environment
                .getPropertySources()
                .replace(
                        StandardEnvironment.SYSTEM_ENVIRONMENT_PROPERTY_SOURCE_NAME,
                        new SystemEnvironmentPropertySource(
                                StandardEnvironment.SYSTEM_ENVIRONMENT_PROPERTY_SOURCE_NAME, variables));
        ByteArrayResource file = new ByteArrayResource(yaml.getBytes(StandardCharsets.UTF_8), "application.yml") {
            @Override
            public String toString() {
                return getDescription();
            }
        };
        try {
            new YamlPropertySourceLoader()
                    .load("application.yml", file)
                    .forEach(environment.getPropertySources()::addLast);
        } catch (IOException impossible) {
            throw new UncheckedIOException(impossible);
        }
        return environment;
    }
}
