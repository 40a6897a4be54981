package io.egressproxy.autoconfigure;

import java.io.IOException;
import java.io.StringReader;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Properties;
import org.springframework.boot.context.config.ConfigData;
import org.springframework.boot.context.config.ConfigDataLoader;
import org.springframework.boot.context.config.ConfigDataLoaderContext;
import org.springframework.boot.context.config.ConfigDataLocation;
import org.springframework.boot.context.config.ConfigDataLocationResolver;
import org.springframework.boot.context.config.ConfigDataLocationResolverContext;
import org.springframework.boot.context.config.ConfigDataResource;
import org.springframework.core.env.MapPropertySource;

/** Imports settings from what is no file, as from a configuration server; here from a system property. */
final class SystemPropertyConfigData {
    static final String PREFIX = "systemproperty:";

    private SystemPropertyConfigData() {}

    static final class Resource extends ConfigDataResource {
        private final String property;

        Resource(String property) {
            this.property = property;
        }

        @Override
        public boolean equals(Object other) {
            return other instanceof Resource resource && resource.property.equals(property);
        }

        @Override
        public int hashCode() {
            return property.hashCode();
        }
    }

    static final class Resolver implements ConfigDataLocationResolver<Resource> {
        @Override
        public boolean isResolvable(ConfigDataLocationResolverContext context, ConfigDataLocation location) {
            return location.hasPrefix(PREFIX);
        }

        @Override
        public List<Resource> resolve(ConfigDataLocationResolverContext context, ConfigDataLocation location) {
            return List.of(new Resource(location.getNonPrefixedValue(PREFIX)));
        }
    }

    static final class Loader implements ConfigDataLoader<Resource> {
        @Override
        public ConfigData load(ConfigDataLoaderContext context, Resource resource) throws IOException {
            Properties properties = new Properties();
            properties.load(new StringReader(Objects.requireNonNull(System.getProperty(resource.property))));
            Map<String, Object> values = new java.util.HashMap<>();
            properties.forEach((name, value) -> values.put(String.valueOf(name), value));
            return new ConfigData(List.of(new MapPropertySource("imported " + resource.property, values)));
        }
    }
}
