package io.egressproxy.autoconfigure;

import io.egressproxy.settings.ExternalServiceSettings.AuthCredentials;
import io.egressproxy.settings.ProxySettings;
import io.egressproxy.settings.ProxySettingsBinder;
import io.egressproxy.settings.ProxySettingsCustomizer;
import org.jspecify.annotations.Nullable;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.context.config.ConfigDataEnvironmentPostProcessor;
import org.springframework.core.env.ConfigurableEnvironment;
import org.springframework.core.env.PropertySource;
import org.springframework.core.env.StandardEnvironment;

/** Where the settings come from: the environment and the application's customizers. Can be read again. */
final class ProxySettingsSource {
    private final ConfigurableEnvironment environment;
    private final ObjectProvider<ProxySettingsCustomizer> customizers;
    private volatile @Nullable ProxySettings first;

    ProxySettingsSource(ConfigurableEnvironment environment, ObjectProvider<ProxySettingsCustomizer> customizers) {
        this.environment = environment;
        this.customizers = customizers;
    }

    /** The settings as they were at the start. */
    ProxySettings read() {
        ProxySettings settings = read(environment);
        first = settings;
        return settings;
    }

    private ProxySettings read(ConfigurableEnvironment source) {
        ProxySettings settings = ProxySettingsBinder.bind(source);
        for (ProxySettingsCustomizer customizer : customizers.orderedStream().toList()) {
            settings = customizer.customize(settings);
        }
        return settings;
    }

    /**
     * The credentials as they are now: files and config trees are read again, other property sources say what they say. Takes a while.
     *
     * @param inForce the settings in force; if the application made them itself, they are all there is
     */
    AuthCredentials credentials(ProxySettings inForce) {
        boolean ours = inForce.equals(first);
        return (ours ? read(withFilesReadAgain()) : inForce).externalService().authCredentials();
    }

    /** Spring Boot reads its files once; what they say now is seen by an environment of its own. */
    private ConfigurableEnvironment withFilesReadAgain() {
        if (environment.getPropertySources().stream().noneMatch(ProxySettingsSource::isFile)) {
            return environment;
        }
        StandardEnvironment fresh = new StandardEnvironment();
        fresh.getPropertySources().stream()
                .map(PropertySource::getName)
                .toList()
                .forEach(name -> fresh.getPropertySources().remove(name));
        environment.getPropertySources().stream()
                .filter(source -> !isFile(source) && !source.getName().equals("configurationProperties"))
                .forEach(fresh.getPropertySources()::addLast);
        ConfigDataEnvironmentPostProcessor.applyTo(fresh, null, null, environment.getActiveProfiles());
        return fresh;
    }

    private static boolean isFile(PropertySource<?> source) {
        return source.getName().startsWith("Config resource '")
                || source.getName().startsWith("Config tree '");
    }
}
