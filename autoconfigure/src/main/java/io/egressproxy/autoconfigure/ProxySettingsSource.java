package io.egressproxy.autoconfigure;

import io.egressproxy.settings.BrokenYaml;
import io.egressproxy.settings.ExternalServiceSettings;
import io.egressproxy.settings.ExternalServiceSettings.AuthCredentials;
import io.egressproxy.settings.InvalidProxySettingsException;
import io.egressproxy.settings.ProxySettings;
import io.egressproxy.settings.ProxySettingsBinder;
import io.egressproxy.settings.ProxySettingsCustomizer;
import io.egressproxy.settings.SettingsFiles;
import io.egressproxy.settings.SettingsProblem;
import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.springframework.aot.hint.ExecutableMode;
import org.springframework.aot.hint.RuntimeHints;
import org.springframework.aot.hint.RuntimeHintsRegistrar;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.context.config.ConfigDataEnvironmentPostProcessor;
import org.springframework.boot.context.config.ConfigDataEnvironmentUpdateListener;
import org.springframework.boot.context.config.ConfigDataLocation;
import org.springframework.boot.context.config.ConfigDataResource;
import org.springframework.core.env.ConfigurableEnvironment;
import org.springframework.core.env.PropertySource;
import org.springframework.core.env.StandardEnvironment;
import org.springframework.core.io.DefaultResourceLoader;
import org.springframework.core.io.ResourceLoader;
import org.springframework.util.ReflectionUtils;

/** Where the settings come from: the environment and the application's customizers. Can be read again. */
final class ProxySettingsSource {
    private final ConfigurableEnvironment environment;
    private final ObjectProvider<ProxySettingsCustomizer> customizers;
    private volatile boolean used;
    private volatile boolean switchedOff;
    private volatile ConfigurableEnvironment lastRead;
    private volatile SettingsFiles files;

    ProxySettingsSource(ConfigurableEnvironment environment, ObjectProvider<ProxySettingsCustomizer> customizers) {
        this.environment = environment;
        this.customizers = customizers;
        this.lastRead = environment;
        this.files = SettingsFiles.of(environment);
    }

    /** What the files are like now that were read last; a new one for each other state of theirs. */
    Object fingerprint() {
        return files.fingerprint();
    }

    /** Whether there is any file outside of archives, so that something can change. */
    boolean hasFiles() {
        return !files.isEmpty();
    }

    /** Whether the settings come from here, and so can be read again. */
    boolean isUsed() {
        return used;
    }

    /** The settings as they were at the start. While they are switched off, no others are read: that would be a part of each start. */
    ProxySettings read() {
        used = true;
        boolean nobodyElseSays = customizers.orderedStream().findAny().isEmpty();
        switchedOff = nobodyElseSays && ProxySettingsBinder.isSwitchedOff(environment);
        return switchedOff ? off() : read(environment);
    }

    /** Whether the settings are switched off, and no others have been read. */
    boolean isSwitchedOff() {
        return switchedOff;
    }

    private static ProxySettings off() {
        return ProxySettings.builder().enabled(false).build();
    }

    /**
     * The settings as they are now, files and config trees included. Takes a while.
     *
     * @throws InvalidProxySettingsException if they are wrong, cannot be read, or do not come from here
     */
    ProxySettings readAgain() {
        if (!used) {
            throw new InvalidProxySettingsException(List.of(new SettingsProblem(
                    "proxy", "is set by a ProxySettings bean of the application, which cannot be read again", null)));
        }
        ConfigurableEnvironment now;
        try {
            now = withFilesReadAgain();
        } catch (RuntimeException unreadable) { // its message may quote a file
            SettingsFiles missed = SettingsFiles.missedBy(unreadable);
            throw new InvalidProxySettingsException(
                    List.of(new SettingsProblem("proxy", "cannot be read again: " + why(unreadable, missed), null)));
        }
        files = files.and(SettingsFiles.of(now)); // one that is empty for a moment is watched all the same
        lastRead = now;
        // what is switched off while it runs goes on with all of its settings until it is started again
        return switchedOff && ProxySettingsBinder.isSwitchedOff(now) ? off() : read(now);
    }

    private String why(RuntimeException unreadable, SettingsFiles missed) {
        if (!missed.isEmpty()) {
            files = files.and(missed); // so that its coming is noticed
            return "there is no " + missed;
        }
        String broken = files.describeBroken();
        String yaml = broken == null ? BrokenYaml.describe(unreadable) : null;
        return broken != null
                ? broken
                : yaml != null
                        ? yaml + ", in a file that is newly imported"
                        : "a configuration file is broken or missing ("
                                + unreadable.getClass().getSimpleName() + ")";
    }

    /** Problems with the file and line that they are about, if they come from here; of the settings that were read last. */
    List<SettingsProblem> located(List<SettingsProblem> problems) {
        return used ? ProxySettingsBinder.locate(lastRead, problems) : problems;
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
        ExternalServiceSettings before = inForce.externalService();
        ExternalServiceSettings now = (used ? read(withFilesReadAgain()) : inForce).externalService();
        boolean sameService = now.endpoints().equals(before.endpoints())
                && now.discovery().equals(before.discovery())
                && now.authMethod() == before.authMethod();
        return (sameService ? now : before).authCredentials(); // a token of another service is not for this one
    }

    /** By its name: one of its arguments, for which we have nothing, is of a type that has moved in Spring Boot 4. */
    private static Method applyConfigData() {
        return Arrays.stream(ConfigDataEnvironmentPostProcessor.class.getMethods())
                .filter(method -> method.getName().equals("applyTo") && method.getParameterCount() == 5)
                .findFirst()
                .orElseThrow(() -> new IllegalStateException("this Spring Boot reads its files in another way"));
    }

    /** So that a native image finds it. */
    static final class Hints implements RuntimeHintsRegistrar {
        @Override
        public void registerHints(RuntimeHints hints, @Nullable ClassLoader classLoader) {
            hints.reflection().registerMethod(applyConfigData(), ExecutableMode.INVOKE);
        }
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
        // whoever asks for it may have another class loader
        ResourceLoader resources = new DefaultResourceLoader(ProxySettingsSource.class.getClassLoader());
        List<PropertySource<?>> read = new ArrayList<>();
        ConfigDataEnvironmentUpdateListener listener = new ConfigDataEnvironmentUpdateListener() {
            @Override
            public void onPropertySourceAdded(
                    PropertySource<?> source, ConfigDataLocation location, ConfigDataResource resource) {
                read.add(source);
            }
        };
        ReflectionUtils.invokeMethod(
                applyConfigData(), null, fresh, resources, null, List.of(environment.getActiveProfiles()), listener);
        return inTheSamePlace(fresh, read);
    }

    /**
     * What was read again takes the place that it had before, above some sources and below others, in the order that Spring Boot gives it: imports
     * need not be files, and stand between them.
     */
    private ConfigurableEnvironment inTheSamePlace(StandardEnvironment fresh, List<PropertySource<?>> read) {
        Set<String> names = read.stream().map(PropertySource::getName).collect(Collectors.toSet());
        List<PropertySource<?>> ordered = fresh.getPropertySources().stream()
                .filter(source -> names.contains(source.getName()))
                .toList();
        names.forEach(name -> fresh.getPropertySources().remove(name));
        String above = null;
        for (PropertySource<?> source : environment.getPropertySources()) {
            if (isFile(source) || names.contains(source.getName())) {
                break;
            }
            above = fresh.getPropertySources().contains(source.getName()) ? source.getName() : above;
        }
        for (PropertySource<?> source : ordered) {
            if (above == null) {
                fresh.getPropertySources().addFirst(source);
            } else {
                fresh.getPropertySources().addAfter(above, source);
            }
            above = source.getName();
        }
        return fresh;
    }

    private static boolean isFile(PropertySource<?> source) {
        return source.getName().startsWith("Config resource '")
                || source.getName().startsWith("Config tree '");
    }
}
