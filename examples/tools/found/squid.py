# What becomes of squid when it is told to reload a configuration with an error?
import socket,subprocess,tempfile,time,signal
d=tempfile.mkdtemp(); subprocess.run(["chmod","777",d]); P,C=8051,d+"/conf"
good=f"http_port 127.0.0.1:{P}\nhttp_access allow all\ncache deny all\naccess_log none\ncache_log {d}/log\npid_filename {d}/pid\ncoredump_dir {d}\nnetdb_filename none\npinger_enable off\nvisible_hostname x\n"
open(C,"w").write(good)
p=subprocess.Popen(["squid","-N","-f",C],stderr=subprocess.DEVNULL,stdout=subprocess.DEVNULL)
for i in range(100):
    try: socket.create_connection(("127.0.0.1",P)).close(); break
    except OSError: time.sleep(.1)
time.sleep(1); open(C,"w").write(good+"http_access allow nobody_knows\n")
print("squid -k parse:",subprocess.run(["squid","-f",C,"-k","parse"],stderr=subprocess.DEVNULL).returncode)
p.send_signal(signal.SIGHUP)
try: print("after SIGHUP: it ended with status",p.wait(5))
except subprocess.TimeoutExpired: print("after SIGHUP: it runs on"); p.kill()
print([l[20:].strip() for l in open(d+"/log") if "FATAL" in l or "rror" in l][:3])
