# ffproxy on IPv6, with 10 processes; N clients reset their connection at once; then one asks by CONNECT.
import os,shutil,socket,subprocess,time,struct,tempfile
d=tempfile.mkdtemp()
for part in ("db","html"): shutil.copytree("/etc/ffproxy/"+part,d+"/"+part)
open(d+"/db/access.ip","w").write(".*\n")
for fam,addr,yes,no in ((socket.AF_INET,"127.0.0.1","4","6"),(socket.AF_INET6,"::1","6","4")):
    open(d+"/conf","w").write(f"daemonize no\nuse_syslog no\nchild_processes 10\nport 8083\nbind_ipv{yes} yes\nbind_ipv{no} no\nbind_ipv{yes}_host {addr}\nuse_ipv6 yes\nunrestricted_connect yes\ntimeout_connect 100\ndb_files_path {d}\npid_dir {d}\n")
    p=subprocess.Popen(["ffproxy","-f",d+"/conf"],stdout=subprocess.DEVNULL,stderr=subprocess.DEVNULL); time.sleep(1)
    l=socket.create_server(("127.0.0.1",8081))
    def ask():
        c=socket.create_connection((addr,8083)); c.settimeout(5); c.sendall(b"CONNECT 127.0.0.1:8081 HTTP/1.1\r\nHost: 127.0.0.1:8081\r\n\r\n")
        try: return c.recv(100)
        except OSError as e: return e
    print(addr,"before:",ask())
    for i in range(3):
        c=socket.create_connection((addr,8083)); c.setsockopt(socket.SOL_SOCKET,socket.SO_LINGER,struct.pack("ii",1,0)); c.close(); time.sleep(.2)
        print(addr,"after",i+1,"resets:",ask())
    l.close(); p.terminate(); time.sleep(1); p.kill(); time.sleep(.5)
